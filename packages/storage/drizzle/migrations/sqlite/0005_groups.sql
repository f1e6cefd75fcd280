-- Rollups by the id of what they count by, which makes their rows small, and tools counted by the sets that are called together: see
-- `coreSchema`.
DROP TRIGGER `execution_rollup_insert`;
--> statement-breakpoint
DROP TRIGGER `execution_rollup_update`;
--> statement-breakpoint
DROP TRIGGER `execution_rollup_delete`;
--> statement-breakpoint
DROP TRIGGER `execution_tool_rollup_insert`;
--> statement-breakpoint
DROP VIEW `rollup_change`;
--> statement-breakpoint
DROP TABLE `execution_rollup`;
--> statement-breakpoint
DROP TABLE `duration_rollup`;
--> statement-breakpoint
DROP TABLE `tool_rollup`;
--> statement-breakpoint
DROP INDEX `execution_tool_created`;
--> statement-breakpoint
ALTER TABLE `execution_tool` DROP COLUMN `duration_bin`;
--> statement-breakpoint
CREATE INDEX `execution_tool_created` ON `execution_tool` (`scope_id`,`tool`,`created_at`,`execution_id`);
--> statement-breakpoint
CREATE TABLE `rollup_group` (
	`id` integer PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`status` text NOT NULL,
	`trigger_kind` text,
	`trigger_client` text,
	`asked` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `rollup_group_status` ON `rollup_group` (`scope_id`,`status`,`trigger_kind`);
--> statement-breakpoint
CREATE TABLE `execution_rollup` (
	`group_id` integer NOT NULL,
	`period` integer NOT NULL,
	`start` integer NOT NULL,
	`executions` integer NOT NULL,
	`calls` integer NOT NULL,
	`failed_calls` integer NOT NULL,
	`in_doubt_calls` integer NOT NULL,
	`size` integer NOT NULL,
	PRIMARY KEY(`group_id`, `period`, `start`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `duration_rollup` (
	`group_id` integer NOT NULL,
	`period` integer NOT NULL,
	`start` integer NOT NULL,
	`duration_bin` integer NOT NULL,
	`executions` integer NOT NULL,
	PRIMARY KEY(`group_id`, `period`, `start`, `duration_bin`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `tool_rollup` (
	`group_id` integer NOT NULL,
	`tool` text NOT NULL,
	`executions` integer NOT NULL,
	`calls` integer NOT NULL,
	`failed_calls` integer NOT NULL,
	`in_doubt_calls` integer NOT NULL,
	PRIMARY KEY(`group_id`, `tool`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `tool_set` (
	`id` integer PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`tools_json` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tool_set_key` ON `tool_set` (`scope_id`,`tools_json`);
--> statement-breakpoint
CREATE TABLE `tool_set_member` (
	`scope_id` text NOT NULL,
	`tool` text NOT NULL,
	`tool_set_id` integer NOT NULL,
	PRIMARY KEY(`scope_id`, `tool`, `tool_set_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TRIGGER `tool_set_insert` AFTER INSERT ON `tool_set` BEGIN
	INSERT INTO `tool_set_member` SELECT NEW.`scope_id`, `value`, NEW.`id` FROM json_each(NEW.`tools_json`);
END;
--> statement-breakpoint
CREATE TABLE `tool_set_rollup` (
	`group_id` integer NOT NULL,
	`period` integer NOT NULL,
	`start` integer NOT NULL,
	`tool_set_id` integer NOT NULL,
	`duration_bin` integer NOT NULL,
	`executions` integer NOT NULL,
	`calls` integer NOT NULL,
	`failed_calls` integer NOT NULL,
	`in_doubt_calls` integer NOT NULL,
	PRIMARY KEY(`group_id`, `period`, `start`, `tool_set_id`, `duration_bin`)
) WITHOUT ROWID;
--> statement-breakpoint
-- A row that is inserted here adds an execution that has ended to what is counted, or takes it away again where `change` is
-- -1; as if it had not called the tool `without_tool`.
CREATE VIEW `rollup_change` AS SELECT NULL AS `change`, NULL AS `without_tool`, NULL AS `execution_id`, NULL AS `scope_id`, NULL AS `status`, NULL AS `trigger_kind`, NULL AS `trigger_client`, NULL AS `asked_at`, NULL AS `created_at`, NULL AS `duration_bin`, NULL AS `calls`, NULL AS `failed_calls`, NULL AS `in_doubt_calls`, NULL AS `size` WHERE FALSE;
--> statement-breakpoint
CREATE TRIGGER `rollup_change_apply` INSTEAD OF INSERT ON `rollup_change` BEGIN
	INSERT INTO `rollup_group` (`scope_id`, `status`, `trigger_kind`, `trigger_client`, `asked`)
		SELECT NEW.`scope_id`, NEW.`status`, NEW.`trigger_kind`, NEW.`trigger_client`, NEW.`asked_at` IS NOT NULL WHERE NOT EXISTS (SELECT 1 FROM `rollup_group` AS `g` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NEW.`trigger_client` AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL));
	INSERT INTO `rollup_group` (`scope_id`, `status`, `trigger_kind`, `trigger_client`, `asked`)
		SELECT NEW.`scope_id`, NEW.`status`, NEW.`trigger_kind`, NULL, NEW.`asked_at` IS NOT NULL WHERE NOT EXISTS (SELECT 1 FROM `rollup_group` AS `g` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NULL AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL));
	INSERT INTO `execution_rollup` (`group_id`, `period`, `start`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`, `size`)
		SELECT `g`.`id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE NEW.`created_at` - ((NEW.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, NEW.`change`, NEW.`change` * NEW.`calls`, NEW.`change` * NEW.`failed_calls`, NEW.`change` * NEW.`in_doubt_calls`, NEW.`change` * NEW.`size`
		FROM `rollup_group` AS `g`, (SELECT 0 AS `period` UNION ALL SELECT 86400000 UNION ALL SELECT 3600000) AS `p` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NEW.`trigger_client` AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL)
		ON CONFLICT (`group_id`, `period`, `start`) DO UPDATE SET `executions` = `executions` + excluded.`executions`, `calls` = `calls` + excluded.`calls`, `failed_calls` = `failed_calls` + excluded.`failed_calls`, `in_doubt_calls` = `in_doubt_calls` + excluded.`in_doubt_calls`, `size` = `size` + excluded.`size`;
	INSERT INTO `duration_rollup` (`group_id`, `period`, `start`, `duration_bin`, `executions`)
		SELECT `g`.`id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE NEW.`created_at` - ((NEW.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, NEW.`duration_bin`, NEW.`change`
		FROM `rollup_group` AS `g`, (SELECT 604800000 AS `period` UNION ALL SELECT 86400000 UNION ALL SELECT 3600000) AS `p` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NULL AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL) AND NEW.`duration_bin` IS NOT NULL
		ON CONFLICT (`group_id`, `period`, `start`, `duration_bin`) DO UPDATE SET `executions` = `executions` + excluded.`executions`;
	INSERT INTO `tool_rollup` (`group_id`, `tool`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`)
		SELECT `g`.`id`, `t`.`tool`, NEW.`change`, NEW.`change` * NEW.`calls`, NEW.`change` * NEW.`failed_calls`, NEW.`change` * NEW.`in_doubt_calls`
		FROM `rollup_group` AS `g`, `execution_tool` AS `t` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NEW.`trigger_client` AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL) AND `t`.`execution_id` = NEW.`execution_id` AND `t`.`tool` IS NOT NEW.`without_tool`
		ON CONFLICT (`group_id`, `tool`) DO UPDATE SET `executions` = `executions` + excluded.`executions`, `calls` = `calls` + excluded.`calls`, `failed_calls` = `failed_calls` + excluded.`failed_calls`, `in_doubt_calls` = `in_doubt_calls` + excluded.`in_doubt_calls`;
	INSERT INTO `tool_set` (`scope_id`, `tools_json`)
		SELECT NEW.`scope_id`, `s`.`tools_json` FROM (SELECT json_group_array(`tool` ORDER BY `tool`) AS `tools_json` FROM `execution_tool` WHERE `execution_id` = NEW.`execution_id` AND `tool` IS NOT NEW.`without_tool`) AS `s`
		WHERE `s`.`tools_json` <> '[]' AND NOT EXISTS (SELECT 1 FROM `tool_set` AS `k` WHERE `k`.`scope_id` = NEW.`scope_id` AND `k`.`tools_json` = `s`.`tools_json`);
	INSERT INTO `tool_set_rollup` (`group_id`, `period`, `start`, `tool_set_id`, `duration_bin`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`)
		SELECT `g`.`id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE NEW.`created_at` - ((NEW.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, `s`.`id`, ifnull(NEW.`duration_bin`, -1), NEW.`change`, NEW.`change` * NEW.`calls`, NEW.`change` * NEW.`failed_calls`, NEW.`change` * NEW.`in_doubt_calls`
		FROM `rollup_group` AS `g`, `tool_set` AS `s`, (SELECT 604800000 AS `period` UNION ALL SELECT 3600000) AS `p` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NEW.`trigger_client` AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL) AND `s`.`scope_id` = NEW.`scope_id` AND `s`.`tools_json` = (SELECT json_group_array(`tool` ORDER BY `tool`) FROM `execution_tool` WHERE `execution_id` = NEW.`execution_id` AND `tool` IS NOT NEW.`without_tool`)
		ON CONFLICT (`group_id`, `period`, `start`, `tool_set_id`, `duration_bin`) DO UPDATE SET `executions` = `executions` + excluded.`executions`, `calls` = `calls` + excluded.`calls`, `failed_calls` = `failed_calls` + excluded.`failed_calls`, `in_doubt_calls` = `in_doubt_calls` + excluded.`in_doubt_calls`;
	DELETE FROM `execution_rollup` WHERE NEW.`change` < 0 AND `group_id` = (SELECT `g`.`id` FROM `rollup_group` AS `g` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NEW.`trigger_client` AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL)) AND `period` IN (0, 86400000, 3600000) AND `start` IN (0, NEW.`created_at` - ((NEW.`created_at` % 86400000) + 86400000) % 86400000, NEW.`created_at` - ((NEW.`created_at` % 3600000) + 3600000) % 3600000) AND `executions` = 0;
	DELETE FROM `duration_rollup` WHERE NEW.`change` < 0 AND `group_id` = (SELECT `g`.`id` FROM `rollup_group` AS `g` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NULL AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL)) AND `period` IN (604800000, 86400000, 3600000) AND `start` IN (NEW.`created_at` - ((NEW.`created_at` % 604800000) + 604800000) % 604800000, NEW.`created_at` - ((NEW.`created_at` % 86400000) + 86400000) % 86400000, NEW.`created_at` - ((NEW.`created_at` % 3600000) + 3600000) % 3600000) AND `duration_bin` = NEW.`duration_bin` AND `executions` = 0;
	DELETE FROM `tool_rollup` WHERE NEW.`change` < 0 AND `group_id` = (SELECT `g`.`id` FROM `rollup_group` AS `g` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NEW.`trigger_client` AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL)) AND `executions` = 0;
	DELETE FROM `tool_set_rollup` WHERE NEW.`change` < 0 AND `group_id` = (SELECT `g`.`id` FROM `rollup_group` AS `g` WHERE `g`.`scope_id` = NEW.`scope_id` AND `g`.`status` = NEW.`status` AND `g`.`trigger_kind` IS NEW.`trigger_kind` AND `g`.`trigger_client` IS NEW.`trigger_client` AND `g`.`asked` = (NEW.`asked_at` IS NOT NULL)) AND `period` IN (604800000, 3600000) AND `start` IN (NEW.`created_at` - ((NEW.`created_at` % 604800000) + 604800000) % 604800000, NEW.`created_at` - ((NEW.`created_at` % 3600000) + 3600000) % 3600000) AND `executions` = 0;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_rollup_insert` AFTER INSERT ON `execution` WHEN NEW.`status` IN ('completed', 'failed', 'cancelled') BEGIN
	INSERT INTO `rollup_change` SELECT 1, NULL, NEW.`id`, NEW.`scope_id`, NEW.`status`, NEW.`trigger_kind`, NEW.`trigger_client`, NEW.`asked_at`, NEW.`created_at`, NEW.`duration_bin`, NEW.`tool_call_count`, NEW.`failed_call_count`, NEW.`in_doubt_call_count`, NEW.`size`;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_rollup_update` AFTER UPDATE ON `execution`
	WHEN (OLD.`status` IN ('completed', 'failed', 'cancelled') OR NEW.`status` IN ('completed', 'failed', 'cancelled'))
	AND (NEW.`scope_id` IS NOT OLD.`scope_id` OR NEW.`status` IS NOT OLD.`status` OR NEW.`trigger_kind` IS NOT OLD.`trigger_kind` OR NEW.`trigger_client` IS NOT OLD.`trigger_client` OR NEW.`asked_at` IS NOT OLD.`asked_at` OR NEW.`created_at` IS NOT OLD.`created_at` OR NEW.`duration_bin` IS NOT OLD.`duration_bin` OR NEW.`tool_call_count` IS NOT OLD.`tool_call_count` OR NEW.`failed_call_count` IS NOT OLD.`failed_call_count` OR NEW.`in_doubt_call_count` IS NOT OLD.`in_doubt_call_count` OR NEW.`size` IS NOT OLD.`size`) BEGIN
	INSERT INTO `rollup_change` SELECT -1, NULL, OLD.`id`, OLD.`scope_id`, OLD.`status`, OLD.`trigger_kind`, OLD.`trigger_client`, OLD.`asked_at`, OLD.`created_at`, OLD.`duration_bin`, OLD.`tool_call_count`, OLD.`failed_call_count`, OLD.`in_doubt_call_count`, OLD.`size` WHERE OLD.`status` IN ('completed', 'failed', 'cancelled');
	INSERT INTO `rollup_change` SELECT 1, NULL, NEW.`id`, NEW.`scope_id`, NEW.`status`, NEW.`trigger_kind`, NEW.`trigger_client`, NEW.`asked_at`, NEW.`created_at`, NEW.`duration_bin`, NEW.`tool_call_count`, NEW.`failed_call_count`, NEW.`in_doubt_call_count`, NEW.`size` WHERE NEW.`status` IN ('completed', 'failed', 'cancelled');
END;
--> statement-breakpoint
-- Before: its tools are still there.
CREATE TRIGGER `execution_rollup_delete` BEFORE DELETE ON `execution` WHEN OLD.`status` IN ('completed', 'failed', 'cancelled') BEGIN
	INSERT INTO `rollup_change` SELECT -1, NULL, OLD.`id`, OLD.`scope_id`, OLD.`status`, OLD.`trigger_kind`, OLD.`trigger_client`, OLD.`asked_at`, OLD.`created_at`, OLD.`duration_bin`, OLD.`tool_call_count`, OLD.`failed_call_count`, OLD.`in_doubt_call_count`, OLD.`size`;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_tool_rollup_insert` AFTER INSERT ON `execution_tool` BEGIN
	INSERT INTO `rollup_change` SELECT -1, NEW.`tool`, `e`.`id`, `e`.`scope_id`, `e`.`status`, `e`.`trigger_kind`, `e`.`trigger_client`, `e`.`asked_at`, `e`.`created_at`, `e`.`duration_bin`, `e`.`tool_call_count`, `e`.`failed_call_count`, `e`.`in_doubt_call_count`, `e`.`size` FROM `execution` AS `e` WHERE `e`.`id` = NEW.`execution_id` AND `e`.`status` IN ('completed', 'failed', 'cancelled');
	INSERT INTO `rollup_change` SELECT 1, NULL, `e`.`id`, `e`.`scope_id`, `e`.`status`, `e`.`trigger_kind`, `e`.`trigger_client`, `e`.`asked_at`, `e`.`created_at`, `e`.`duration_bin`, `e`.`tool_call_count`, `e`.`failed_call_count`, `e`.`in_doubt_call_count`, `e`.`size` FROM `execution` AS `e` WHERE `e`.`id` = NEW.`execution_id` AND `e`.`status` IN ('completed', 'failed', 'cancelled');
END;
--> statement-breakpoint
INSERT INTO `rollup_group` (`scope_id`, `status`, `trigger_kind`, `trigger_client`, `asked`)
	SELECT `scope_id`, `status`, `trigger_kind`, `trigger_client`, `asked_at` IS NOT NULL FROM `execution` WHERE `status` IN ('completed', 'failed', 'cancelled')
	UNION SELECT `scope_id`, `status`, `trigger_kind`, NULL, `asked_at` IS NOT NULL FROM `execution` WHERE `status` IN ('completed', 'failed', 'cancelled');
--> statement-breakpoint
INSERT INTO `execution_rollup` (`group_id`, `period`, `start`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`, `size`)
	SELECT `g`.`id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE `e`.`created_at` - ((`e`.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, count(*), sum(`e`.`tool_call_count`), sum(`e`.`failed_call_count`), sum(`e`.`in_doubt_call_count`), sum(`e`.`size`)
	FROM `execution` AS `e` JOIN `rollup_group` AS `g` ON `g`.`scope_id` = `e`.`scope_id` AND `g`.`status` = `e`.`status` AND `g`.`trigger_kind` IS `e`.`trigger_kind` AND `g`.`trigger_client` IS `e`.`trigger_client` AND `g`.`asked` = (`e`.`asked_at` IS NOT NULL), (SELECT 0 AS `period` UNION ALL SELECT 86400000 UNION ALL SELECT 3600000) AS `p` WHERE `e`.`status` IN ('completed', 'failed', 'cancelled') GROUP BY 1, 2, 3;
--> statement-breakpoint
INSERT INTO `duration_rollup` (`group_id`, `period`, `start`, `duration_bin`, `executions`)
	SELECT `g`.`id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE `e`.`created_at` - ((`e`.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, `e`.`duration_bin`, count(*)
	FROM `execution` AS `e` JOIN `rollup_group` AS `g` ON `g`.`scope_id` = `e`.`scope_id` AND `g`.`status` = `e`.`status` AND `g`.`trigger_kind` IS `e`.`trigger_kind` AND `g`.`trigger_client` IS NULL AND `g`.`asked` = (`e`.`asked_at` IS NOT NULL), (SELECT 604800000 AS `period` UNION ALL SELECT 86400000 UNION ALL SELECT 3600000) AS `p` WHERE `e`.`status` IN ('completed', 'failed', 'cancelled') AND `e`.`duration_bin` IS NOT NULL GROUP BY 1, 2, 3, 4;
--> statement-breakpoint
INSERT INTO `tool_rollup` (`group_id`, `tool`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`)
	SELECT `g`.`id`, `t`.`tool`, count(*), sum(`e`.`tool_call_count`), sum(`e`.`failed_call_count`), sum(`e`.`in_doubt_call_count`)
	FROM `execution` AS `e` JOIN `rollup_group` AS `g` ON `g`.`scope_id` = `e`.`scope_id` AND `g`.`status` = `e`.`status` AND `g`.`trigger_kind` IS `e`.`trigger_kind` AND `g`.`trigger_client` IS `e`.`trigger_client` AND `g`.`asked` = (`e`.`asked_at` IS NOT NULL) JOIN `execution_tool` AS `t` ON `t`.`execution_id` = `e`.`id` WHERE `e`.`status` IN ('completed', 'failed', 'cancelled') GROUP BY 1, 2;
--> statement-breakpoint
INSERT INTO `tool_set` (`scope_id`, `tools_json`)
	SELECT DISTINCT `e`.`scope_id`, `t`.`tools_json` FROM (SELECT `execution_id`, json_group_array(`tool` ORDER BY `tool`) AS `tools_json` FROM `execution_tool` GROUP BY `execution_id`) AS `t` JOIN `execution` AS `e` ON `e`.`id` = `t`.`execution_id` WHERE `e`.`status` IN ('completed', 'failed', 'cancelled');
--> statement-breakpoint
INSERT INTO `tool_set_rollup` (`group_id`, `period`, `start`, `tool_set_id`, `duration_bin`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`)
	SELECT `g`.`id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE `e`.`created_at` - ((`e`.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, `s`.`id`, ifnull(`e`.`duration_bin`, -1), count(*), sum(`e`.`tool_call_count`), sum(`e`.`failed_call_count`), sum(`e`.`in_doubt_call_count`)
	FROM (SELECT `execution_id`, json_group_array(`tool` ORDER BY `tool`) AS `tools_json` FROM `execution_tool` GROUP BY `execution_id`) AS `t` JOIN `execution` AS `e` ON `e`.`id` = `t`.`execution_id` JOIN `rollup_group` AS `g` ON `g`.`scope_id` = `e`.`scope_id` AND `g`.`status` = `e`.`status` AND `g`.`trigger_kind` IS `e`.`trigger_kind` AND `g`.`trigger_client` IS `e`.`trigger_client` AND `g`.`asked` = (`e`.`asked_at` IS NOT NULL) JOIN `tool_set` AS `s` ON `s`.`scope_id` = `e`.`scope_id` AND `s`.`tools_json` = `t`.`tools_json`, (SELECT 604800000 AS `period` UNION ALL SELECT 3600000) AS `p`
	WHERE `e`.`status` IN ('completed', 'failed', 'cancelled') GROUP BY 1, 2, 3, 4, 5;
