CREATE UNIQUE INDEX `execution_rollup_key` ON `execution_rollup` (`scope_id`, `period`, `start`, `status`, ifnull(`trigger_kind`, ''), `trigger_kind` IS NULL, ifnull(`trigger_client`, ''), `trigger_client` IS NULL, `asked_at` IS NULL);
--> statement-breakpoint
CREATE UNIQUE INDEX `duration_rollup_key` ON `duration_rollup` (`scope_id`, `period`, `start`, `status`, ifnull(`trigger_kind`, ''), `trigger_kind` IS NULL, `asked_at` IS NULL, `duration_bin`);
--> statement-breakpoint
CREATE UNIQUE INDEX `tool_rollup_key` ON `tool_rollup` (`scope_id`, `period`, `start`, `tool`, `status`, ifnull(`trigger_kind`, ''), `trigger_kind` IS NULL, ifnull(`trigger_client`, ''), `trigger_client` IS NULL, `asked_at` IS NULL);
--> statement-breakpoint
-- A row that is inserted here adds an execution that has ended to what is counted, or takes it away again where `change` is
-- -1. With `only_tool` it is counted for that tool alone.
CREATE VIEW `rollup_change` AS SELECT NULL AS `change`, NULL AS `only_tool`, NULL AS `execution_id`, NULL AS `scope_id`, NULL AS `status`, NULL AS `trigger_kind`, NULL AS `trigger_client`, NULL AS `asked_at`, NULL AS `created_at`, NULL AS `duration_bin`, NULL AS `calls`, NULL AS `failed_calls`, NULL AS `in_doubt_calls`, NULL AS `size` WHERE FALSE;
--> statement-breakpoint
CREATE TRIGGER `rollup_change_apply` INSTEAD OF INSERT ON `rollup_change` BEGIN
	INSERT INTO `execution_rollup` (`scope_id`, `period`, `start`, `status`, `trigger_kind`, `trigger_client`, `asked_at`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`, `size`)
		SELECT NEW.`scope_id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE NEW.`created_at` - ((NEW.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, NEW.`status`, NEW.`trigger_kind`, NEW.`trigger_client`, CASE WHEN NEW.`asked_at` IS NOT NULL THEN 1 END, NEW.`change`, NEW.`change` * NEW.`calls`, NEW.`change` * NEW.`failed_calls`, NEW.`change` * NEW.`in_doubt_calls`, NEW.`change` * NEW.`size`
		FROM (SELECT 0 AS `period` UNION ALL SELECT 3600000 UNION ALL SELECT 86400000) AS `p` WHERE NEW.`only_tool` IS NULL
		ON CONFLICT (`scope_id`, `period`, `start`, `status`, ifnull(`trigger_kind`, ''), `trigger_kind` IS NULL, ifnull(`trigger_client`, ''), `trigger_client` IS NULL, `asked_at` IS NULL) DO UPDATE SET `executions` = `executions` + excluded.`executions`, `calls` = `calls` + excluded.`calls`, `failed_calls` = `failed_calls` + excluded.`failed_calls`, `in_doubt_calls` = `in_doubt_calls` + excluded.`in_doubt_calls`, `size` = `size` + excluded.`size`;
	INSERT INTO `duration_rollup` (`scope_id`, `period`, `start`, `status`, `trigger_kind`, `asked_at`, `duration_bin`, `executions`)
		SELECT NEW.`scope_id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE NEW.`created_at` - ((NEW.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, NEW.`status`, NEW.`trigger_kind`, CASE WHEN NEW.`asked_at` IS NOT NULL THEN 1 END, NEW.`duration_bin`, NEW.`change`
		FROM (SELECT 0 AS `period` UNION ALL SELECT 3600000 UNION ALL SELECT 86400000) AS `p` WHERE NEW.`only_tool` IS NULL AND NEW.`duration_bin` IS NOT NULL
		ON CONFLICT (`scope_id`, `period`, `start`, `status`, ifnull(`trigger_kind`, ''), `trigger_kind` IS NULL, `asked_at` IS NULL, `duration_bin`) DO UPDATE SET `executions` = `executions` + excluded.`executions`;
	INSERT INTO `tool_rollup` (`scope_id`, `period`, `start`, `tool`, `status`, `trigger_kind`, `trigger_client`, `asked_at`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`)
		SELECT NEW.`scope_id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE NEW.`created_at` - ((NEW.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, `t`.`tool`, NEW.`status`, NEW.`trigger_kind`, NEW.`trigger_client`, CASE WHEN NEW.`asked_at` IS NOT NULL THEN 1 END, NEW.`change`, NEW.`change` * NEW.`calls`, NEW.`change` * NEW.`failed_calls`, NEW.`change` * NEW.`in_doubt_calls`
		FROM `execution_tool` AS `t`, (SELECT 0 AS `period` UNION ALL SELECT 3600000 UNION ALL SELECT 86400000) AS `p` WHERE `t`.`execution_id` = NEW.`execution_id` AND (NEW.`only_tool` IS NULL OR NEW.`only_tool` = `t`.`tool`)
		ON CONFLICT (`scope_id`, `period`, `start`, `tool`, `status`, ifnull(`trigger_kind`, ''), `trigger_kind` IS NULL, ifnull(`trigger_client`, ''), `trigger_client` IS NULL, `asked_at` IS NULL) DO UPDATE SET `executions` = `executions` + excluded.`executions`, `calls` = `calls` + excluded.`calls`, `failed_calls` = `failed_calls` + excluded.`failed_calls`, `in_doubt_calls` = `in_doubt_calls` + excluded.`in_doubt_calls`;
	DELETE FROM `execution_rollup` WHERE NEW.`change` < 0 AND `scope_id` = NEW.`scope_id` AND `period` IN (0, 3600000, 86400000) AND `executions` = 0
		AND `start` IN (0, NEW.`created_at` - ((NEW.`created_at` % 3600000) + 3600000) % 3600000, NEW.`created_at` - ((NEW.`created_at` % 86400000) + 86400000) % 86400000);
	DELETE FROM `duration_rollup` WHERE NEW.`change` < 0 AND `scope_id` = NEW.`scope_id` AND `period` IN (0, 3600000, 86400000) AND `executions` = 0
		AND `start` IN (0, NEW.`created_at` - ((NEW.`created_at` % 3600000) + 3600000) % 3600000, NEW.`created_at` - ((NEW.`created_at` % 86400000) + 86400000) % 86400000);
	DELETE FROM `tool_rollup` WHERE NEW.`change` < 0 AND `scope_id` = NEW.`scope_id` AND `period` IN (0, 3600000, 86400000) AND `executions` = 0
		AND `start` IN (0, NEW.`created_at` - ((NEW.`created_at` % 3600000) + 3600000) % 3600000, NEW.`created_at` - ((NEW.`created_at` % 86400000) + 86400000) % 86400000);
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
CREATE TRIGGER `execution_rollup_delete` BEFORE DELETE ON `execution` WHEN OLD.`status` IN ('completed', 'failed', 'cancelled') BEGIN
	INSERT INTO `rollup_change` SELECT -1, NULL, OLD.`id`, OLD.`scope_id`, OLD.`status`, OLD.`trigger_kind`, OLD.`trigger_client`, OLD.`asked_at`, OLD.`created_at`, OLD.`duration_bin`, OLD.`tool_call_count`, OLD.`failed_call_count`, OLD.`in_doubt_call_count`, OLD.`size`;
END;
--> statement-breakpoint
CREATE TRIGGER `execution_tool_rollup_insert` AFTER INSERT ON `execution_tool` BEGIN
	INSERT INTO `rollup_change` SELECT 1, NEW.`tool`, `e`.`id`, `e`.`scope_id`, `e`.`status`, `e`.`trigger_kind`, `e`.`trigger_client`, `e`.`asked_at`, `e`.`created_at`, `e`.`duration_bin`, `e`.`tool_call_count`, `e`.`failed_call_count`, `e`.`in_doubt_call_count`, `e`.`size` FROM `execution` AS `e` WHERE `e`.`id` = NEW.`execution_id` AND `e`.`status` IN ('completed', 'failed', 'cancelled');
END;
--> statement-breakpoint
INSERT INTO `execution_rollup` (`scope_id`, `period`, `start`, `status`, `trigger_kind`, `trigger_client`, `asked_at`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`, `size`)
	SELECT `e`.`scope_id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE `e`.`created_at` - ((`e`.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, `e`.`status`, `e`.`trigger_kind`, `e`.`trigger_client`, CASE WHEN `e`.`asked_at` IS NOT NULL THEN 1 END, count(*), sum(`e`.`tool_call_count`), sum(`e`.`failed_call_count`), sum(`e`.`in_doubt_call_count`), sum(`e`.`size`)
	FROM `execution` AS `e`, (SELECT 0 AS `period` UNION ALL SELECT 3600000 UNION ALL SELECT 86400000) AS `p` WHERE `e`.`status` IN ('completed', 'failed', 'cancelled') GROUP BY 1, 2, 3, 4, 5, 6, 7;
--> statement-breakpoint
INSERT INTO `duration_rollup` (`scope_id`, `period`, `start`, `status`, `trigger_kind`, `asked_at`, `duration_bin`, `executions`)
	SELECT `e`.`scope_id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE `e`.`created_at` - ((`e`.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, `e`.`status`, `e`.`trigger_kind`, CASE WHEN `e`.`asked_at` IS NOT NULL THEN 1 END, `e`.`duration_bin`, count(*)
	FROM `execution` AS `e`, (SELECT 0 AS `period` UNION ALL SELECT 3600000 UNION ALL SELECT 86400000) AS `p` WHERE `e`.`status` IN ('completed', 'failed', 'cancelled') AND `e`.`duration_bin` IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7;
--> statement-breakpoint
INSERT INTO `tool_rollup` (`scope_id`, `period`, `start`, `tool`, `status`, `trigger_kind`, `trigger_client`, `asked_at`, `executions`, `calls`, `failed_calls`, `in_doubt_calls`)
	SELECT `e`.`scope_id`, `p`.`period`, CASE `p`.`period` WHEN 0 THEN 0 ELSE `e`.`created_at` - ((`e`.`created_at` % `p`.`period`) + `p`.`period`) % `p`.`period` END, `t`.`tool`, `e`.`status`, `e`.`trigger_kind`, `e`.`trigger_client`, CASE WHEN `e`.`asked_at` IS NOT NULL THEN 1 END, count(*), sum(`e`.`tool_call_count`), sum(`e`.`failed_call_count`), sum(`e`.`in_doubt_call_count`)
	FROM `execution` AS `e` JOIN `execution_tool` AS `t` ON `t`.`execution_id` = `e`.`id`, (SELECT 0 AS `period` UNION ALL SELECT 3600000 UNION ALL SELECT 86400000) AS `p` WHERE `e`.`status` IN ('completed', 'failed', 'cancelled') GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
