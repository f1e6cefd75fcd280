-- The text of executions and of code by trigrams: see `sqliteSearch.ts`. A thread fills them; triggers only note what is to be
-- looked at. `revision` is another one after each change; `seq` and `position` how far a long text is in the index.
CREATE VIRTUAL TABLE `execution_search` USING fts5(`text`, content='', contentless_delete=1, detail=none, tokenize='trigram');
--> statement-breakpoint
CREATE VIRTUAL TABLE `execution_code_search` USING fts5(`text`, content='', contentless_delete=1, detail=none, tokenize='trigram');
--> statement-breakpoint
-- The thread merges segments itself, a few pages at a time.
INSERT INTO `execution_search`(`execution_search`, `rank`) VALUES ('automerge', 0), ('crisismerge', 1999);
--> statement-breakpoint
INSERT INTO `execution_code_search`(`execution_code_search`, `rank`) VALUES ('automerge', 0), ('crisismerge', 1999);
--> statement-breakpoint
CREATE TABLE `execution_search_document` (
	`id` integer PRIMARY KEY NOT NULL,
	`row_group` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `execution_search_group` ON `execution_search_document` (`row_group`);
--> statement-breakpoint
CREATE TABLE `execution_search_pending` (
	`id` integer PRIMARY KEY NOT NULL,
	`revision` integer NOT NULL,
	`seq` integer NOT NULL DEFAULT -1,
	`position` integer NOT NULL DEFAULT 0
);
--> statement-breakpoint
CREATE TABLE `execution_code_search_document` (
	`id` integer PRIMARY KEY NOT NULL,
	`row_group` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `execution_code_search_group` ON `execution_code_search_document` (`row_group`);
--> statement-breakpoint
CREATE TABLE `execution_code_search_pending` (
	`id` integer PRIMARY KEY NOT NULL,
	`revision` integer NOT NULL,
	`seq` integer NOT NULL DEFAULT -1,
	`position` integer NOT NULL DEFAULT 0
);
--> statement-breakpoint
CREATE TRIGGER `execution_search_insert` AFTER INSERT ON `execution` BEGIN
	INSERT INTO `execution_search_pending` (`id`, `revision`) VALUES (NEW.`rowid`, random() >> 11) ON CONFLICT DO UPDATE SET `revision` = excluded.`revision`, `seq` = -1, `position` = 0;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_search_update` AFTER UPDATE OF `status`, `size`, `error_text` ON `execution` WHEN NEW.`status` IN ('completed', 'failed', 'cancelled') OR OLD.`status` IN ('completed', 'failed', 'cancelled') BEGIN
	INSERT INTO `execution_search_pending` (`id`, `revision`) VALUES (NEW.`rowid`, random() >> 11) ON CONFLICT DO UPDATE SET `revision` = excluded.`revision`, `seq` = -1, `position` = 0;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_search_delete` AFTER DELETE ON `execution` BEGIN
	INSERT INTO `execution_search_pending` (`id`, `revision`) VALUES (OLD.`rowid`, random() >> 11) ON CONFLICT DO UPDATE SET `revision` = excluded.`revision`, `seq` = -1, `position` = 0;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_output_search_insert` AFTER INSERT ON `execution_output` BEGIN
	INSERT INTO `execution_search_pending` (`id`, `revision`) SELECT `rowid`, random() >> 11 FROM `execution` WHERE `id` = NEW.`execution_id` ON CONFLICT DO UPDATE SET `revision` = excluded.`revision`, `seq` = -1, `position` = 0;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_output_search_update` AFTER UPDATE OF `result_json` ON `execution_output` BEGIN
	INSERT INTO `execution_search_pending` (`id`, `revision`) SELECT `rowid`, random() >> 11 FROM `execution` WHERE `id` = NEW.`execution_id` ON CONFLICT DO UPDATE SET `revision` = excluded.`revision`, `seq` = -1, `position` = 0;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_code_search_insert` AFTER INSERT ON `execution_code` BEGIN
	INSERT INTO `execution_code_search_pending` (`id`, `revision`) VALUES (NEW.`rowid`, random() >> 11) ON CONFLICT DO UPDATE SET `revision` = excluded.`revision`, `seq` = -1, `position` = 0;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_code_search_update` AFTER UPDATE OF `code` ON `execution_code` BEGIN
	INSERT INTO `execution_code_search_pending` (`id`, `revision`) VALUES (NEW.`rowid`, random() >> 11) ON CONFLICT DO UPDATE SET `revision` = excluded.`revision`, `seq` = -1, `position` = 0;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_code_search_delete` AFTER DELETE ON `execution_code` BEGIN
	INSERT INTO `execution_code_search_pending` (`id`, `revision`) VALUES (OLD.`rowid`, random() >> 11) ON CONFLICT DO UPDATE SET `revision` = excluded.`revision`, `seq` = -1, `position` = 0;
END;
--> statement-breakpoint
INSERT INTO `execution_search_pending` (`id`, `revision`) SELECT `rowid`, random() >> 11 FROM `execution`;
--> statement-breakpoint
INSERT INTO `execution_code_search_pending` (`id`, `revision`) SELECT `rowid`, random() >> 11 FROM `execution_code`;
