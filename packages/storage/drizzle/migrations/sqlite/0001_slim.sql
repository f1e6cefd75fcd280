CREATE TABLE `execution_code` (
	`id` text PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`preview` text NOT NULL,
	`code` text NOT NULL
);
--> statement-breakpoint
INSERT INTO `execution_code` SELECT DISTINCT executor_code_id(`scope_id`, `code`), `scope_id`, substr(`code`, 1, 100), `code` FROM `execution`;
--> statement-breakpoint
CREATE TABLE `execution_output` (
	`execution_id` text PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`logs_size` integer,
	`result_size` integer,
	`logs_json` text,
	`result_json` text,
	FOREIGN KEY (`execution_id`) REFERENCES `execution`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
INSERT INTO `execution_output` SELECT `id`, `scope_id`, length(`logs_json`), length(`result_json`), `logs_json`, `result_json` FROM `execution` WHERE `logs_json` IS NOT NULL OR `result_json` IS NOT NULL;
--> statement-breakpoint
DROP INDEX `execution_tool_call_path`;
--> statement-breakpoint
DROP INDEX `execution_tool_call_namespace`;
--> statement-breakpoint
CREATE TABLE `__new_execution_tool_call` (
	`id` text GENERATED ALWAYS AS (coalesce("custom_id", "execution_id" || ':' || "seq")) VIRTUAL NOT NULL,
	`custom_id` text,
	`execution_id` text NOT NULL,
	`scope_id` text NOT NULL,
	`seq` integer NOT NULL,
	`settle_seq` integer,
	`status` text NOT NULL,
	`tool_path` text NOT NULL,
	`namespace` text NOT NULL,
	`idempotency_key` text GENERATED ALWAYS AS ("execution_id" || ':' || "seq") VIRTUAL NOT NULL,
	`started_at` integer NOT NULL,
	`completed_at` integer,
	`duration_ms` integer,
	`args_size` integer NOT NULL,
	`result_size` integer NOT NULL,
	`error_text` text,
	`args_json` text,
	`result_json` text,
	PRIMARY KEY(`execution_id`, `seq`),
	FOREIGN KEY (`execution_id`) REFERENCES `execution`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
INSERT INTO `__new_execution_tool_call` (`custom_id`, `execution_id`, `scope_id`, `seq`, `settle_seq`, `status`, `tool_path`, `namespace`, `started_at`, `completed_at`, `duration_ms`, `args_size`, `result_size`, `error_text`, `args_json`, `result_json`) SELECT nullif(`id`, `execution_id` || ':' || `seq`), `execution_id`, `scope_id`, `seq`, `settle_seq`, `status`, `tool_path`, `namespace`, `started_at`, `completed_at`, `duration_ms`, ifnull(length(`args_json`), 0), ifnull(length(`result_json`), ifnull(length(`error_text`), 0)), `error_text`, `args_json`, `result_json` FROM `execution_tool_call`;
--> statement-breakpoint
DROP TABLE `execution_tool_call`;
--> statement-breakpoint
ALTER TABLE `__new_execution_tool_call` RENAME TO `execution_tool_call`;
--> statement-breakpoint
CREATE UNIQUE INDEX `execution_tool_call_custom_id` ON `execution_tool_call` (`custom_id`) WHERE "execution_tool_call"."custom_id" is not null;
--> statement-breakpoint
CREATE TABLE `__new_execution` (
	`id` text PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`status` text NOT NULL,
	`trigger_kind` text,
	`trigger_client` text,
	`tool_call_count` integer NOT NULL,
	`failed_call_count` integer NOT NULL,
	`in_doubt_call_count` integer NOT NULL,
	`interaction_count` integer NOT NULL,
	`size` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`started_at` integer,
	`completed_at` integer,
	`duration_ms` integer,
	`duration_bin` integer,
	`asked_at` integer,
	`seed` integer NOT NULL,
	`owner` text,
	`lease_until` integer,
	`epoch` integer NOT NULL,
	`journal_complete` integer NOT NULL,
	`parent_execution_id` text,
	`idempotency_key` text,
	`code_id` text NOT NULL,
	`trigger_meta_json` text,
	`error_text` text,
	FOREIGN KEY (`code_id`) REFERENCES `execution_code`(`id`) ON UPDATE no action ON DELETE restrict
);
--> statement-breakpoint
INSERT INTO `__new_execution` SELECT `id`, `scope_id`, `status`, `trigger_kind`, CASE WHEN json_valid(`trigger_meta_json`) AND json_type(`trigger_meta_json`, '$.client.name') = 'text' THEN `trigger_meta_json` ->> '$.client.name' END, `tool_call_count`, (SELECT count(*) FROM `execution_tool_call` AS `c` WHERE `c`.`execution_id` = `execution`.`id` AND `c`.`status` = 'failed'), (SELECT count(*) FROM `execution_tool_call` AS `c` WHERE `c`.`execution_id` = `execution`.`id` AND `c`.`status` = 'in_doubt'), `interaction_count`, ifnull(length(`logs_json`), 0) + ifnull(length(`result_json`), 0) + ifnull((SELECT sum(`c`.`args_size` + `c`.`result_size`) FROM `execution_tool_call` AS `c` WHERE `c`.`execution_id` = `execution`.`id`), 0), `created_at`, `updated_at`, `started_at`, `completed_at`, `duration_ms`, executor_duration_bin(`duration_ms`), (SELECT min(`i`.`created_at`) FROM `execution_interaction` AS `i` WHERE `i`.`execution_id` = `execution`.`id`), `seed`, `owner`, `lease_until`, `epoch`, `journal_complete`, `parent_execution_id`, `idempotency_key`, executor_code_id(`scope_id`, `code`), `trigger_meta_json`, `error_text` FROM `execution`;
--> statement-breakpoint
DROP TABLE `execution`;
--> statement-breakpoint
ALTER TABLE `__new_execution` RENAME TO `execution`;
--> statement-breakpoint
CREATE INDEX `execution_created` ON `execution` (`scope_id`,`created_at`,`id`);
--> statement-breakpoint
CREATE INDEX `execution_status` ON `execution` (`scope_id`,`status`,`created_at`,`id`);
--> statement-breakpoint
CREATE INDEX `execution_trigger` ON `execution` (`scope_id`,`trigger_kind`,`created_at`,`id`);
--> statement-breakpoint
CREATE INDEX `execution_code_created` ON `execution` (`code_id`,`created_at`,`id`);
--> statement-breakpoint
CREATE INDEX `execution_asked` ON `execution` (`scope_id`,`created_at`,`id`) WHERE "execution"."asked_at" is not null;
--> statement-breakpoint
CREATE INDEX `execution_duration` ON `execution` (`scope_id`,`duration_ms`,`id`) WHERE "execution"."duration_ms" is not null;
--> statement-breakpoint
CREATE INDEX `execution_completed` ON `execution` (`scope_id`,`completed_at`,`id`) WHERE "execution"."completed_at" is not null;
--> statement-breakpoint
CREATE INDEX `execution_parent` ON `execution` (`parent_execution_id`) WHERE "execution"."parent_execution_id" is not null;
--> statement-breakpoint
CREATE UNIQUE INDEX `execution_idempotency` ON `execution` (`scope_id`,`idempotency_key`) WHERE "execution"."idempotency_key" is not null;
--> statement-breakpoint
CREATE TABLE `execution_tool` (
	`execution_id` text NOT NULL,
	`tool` text NOT NULL,
	`scope_id` text NOT NULL,
	`created_at` integer NOT NULL,
	`duration_bin` integer,
	PRIMARY KEY(`execution_id`, `tool`),
	FOREIGN KEY (`execution_id`) REFERENCES `execution`(`id`) ON UPDATE no action ON DELETE cascade
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `execution_tool_created` ON `execution_tool` (`scope_id`,`tool`,`created_at`,`execution_id`,`duration_bin`);
--> statement-breakpoint
INSERT INTO `execution_tool` SELECT DISTINCT `c`.`execution_id`, `c`.`tool_path`, `c`.`scope_id`, `e`.`created_at`, `e`.`duration_bin` FROM `execution_tool_call` AS `c` JOIN `execution` AS `e` ON `e`.`id` = `c`.`execution_id`;
--> statement-breakpoint
INSERT INTO `execution_tool` SELECT DISTINCT `c`.`execution_id`, `c`.`namespace` || '.*', `c`.`scope_id`, `e`.`created_at`, `e`.`duration_bin` FROM `execution_tool_call` AS `c` JOIN `execution` AS `e` ON `e`.`id` = `c`.`execution_id` WHERE `c`.`tool_path` LIKE '%.%';
--> statement-breakpoint
CREATE TABLE `tool_name` (
	`scope_id` text NOT NULL,
	`tool` text NOT NULL,
	PRIMARY KEY(`scope_id`, `tool`)
) WITHOUT ROWID;
--> statement-breakpoint
INSERT INTO `tool_name` SELECT DISTINCT `scope_id`, `tool` FROM `execution_tool`;
--> statement-breakpoint
CREATE TABLE `execution_rollup` (
	`id` integer PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`period` integer NOT NULL,
	`start` integer NOT NULL,
	`status` text NOT NULL,
	`trigger_kind` text,
	`asked_at` integer,
	`trigger_client` text,
	`executions` integer NOT NULL,
	`calls` integer NOT NULL,
	`failed_calls` integer NOT NULL,
	`in_doubt_calls` integer NOT NULL,
	`size` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `duration_rollup` (
	`id` integer PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`period` integer NOT NULL,
	`start` integer NOT NULL,
	`status` text NOT NULL,
	`trigger_kind` text,
	`asked_at` integer,
	`duration_bin` integer NOT NULL,
	`executions` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `tool_rollup` (
	`id` integer PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`period` integer NOT NULL,
	`start` integer NOT NULL,
	`status` text NOT NULL,
	`trigger_kind` text,
	`asked_at` integer,
	`tool` text NOT NULL,
	`trigger_client` text,
	`executions` integer NOT NULL,
	`calls` integer NOT NULL,
	`failed_calls` integer NOT NULL,
	`in_doubt_calls` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `tool_rollup_tool` ON `tool_rollup` (`scope_id`,`tool`,`period`,`start`);
