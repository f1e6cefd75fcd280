CREATE TABLE `execution` (
	`id` text PRIMARY KEY NOT NULL,
	`scope_id` text NOT NULL,
	`status` text NOT NULL,
	`trigger_kind` text,
	`tool_call_count` integer NOT NULL,
	`interaction_count` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`started_at` integer,
	`completed_at` integer,
	`duration_ms` integer,
	`seed` integer NOT NULL,
	`owner` text,
	`lease_until` integer,
	`epoch` integer NOT NULL,
	`journal_complete` integer NOT NULL,
	`parent_execution_id` text,
	`idempotency_key` text,
	`trigger_meta_json` text,
	`error_text` text,
	`code` text NOT NULL,
	`logs_json` text,
	`result_json` text
);
--> statement-breakpoint
CREATE INDEX `execution_created` ON `execution` (`scope_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `execution_status` ON `execution` (`scope_id`,`status`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `execution_trigger` ON `execution` (`scope_id`,`trigger_kind`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `execution_duration` ON `execution` (`scope_id`,`duration_ms`,`id`);--> statement-breakpoint
CREATE INDEX `execution_completed` ON `execution` (`scope_id`,`completed_at`,`id`);--> statement-breakpoint
CREATE INDEX `execution_parent` ON `execution` (`parent_execution_id`);--> statement-breakpoint
CREATE UNIQUE INDEX `execution_idempotency` ON `execution` (`scope_id`,`idempotency_key`);--> statement-breakpoint
CREATE TABLE `execution_interaction` (
	`id` text PRIMARY KEY NOT NULL,
	`execution_id` text NOT NULL,
	`scope_id` text NOT NULL,
	`tool_call_id` text,
	`status` text NOT NULL,
	`kind` text NOT NULL,
	`purpose` text NOT NULL,
	`resolved_by` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`payload_json` text NOT NULL,
	`response_json` text,
	`response_private_json` text,
	FOREIGN KEY (`execution_id`) REFERENCES `execution`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `execution_interaction_execution` ON `execution_interaction` (`execution_id`,`status`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `execution_interaction_status` ON `execution_interaction` (`scope_id`,`status`,`created_at`);--> statement-breakpoint
CREATE TABLE `execution_tool_call` (
	`id` text PRIMARY KEY NOT NULL,
	`execution_id` text NOT NULL,
	`scope_id` text NOT NULL,
	`seq` integer NOT NULL,
	`settle_seq` integer,
	`status` text NOT NULL,
	`tool_path` text NOT NULL,
	`namespace` text NOT NULL,
	`idempotency_key` text NOT NULL,
	`started_at` integer NOT NULL,
	`completed_at` integer,
	`duration_ms` integer,
	`error_text` text,
	`args_json` text,
	`result_json` text,
	FOREIGN KEY (`execution_id`) REFERENCES `execution`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `execution_tool_call_seq` ON `execution_tool_call` (`execution_id`,`seq`);--> statement-breakpoint
CREATE INDEX `execution_tool_call_path` ON `execution_tool_call` (`scope_id`,`tool_path`,`execution_id`);--> statement-breakpoint
CREATE INDEX `execution_tool_call_namespace` ON `execution_tool_call` (`scope_id`,`namespace`,`execution_id`);--> statement-breakpoint
CREATE TABLE `source` (
	`scope_id` text NOT NULL,
	`namespace` text NOT NULL,
	`plugin_id` text NOT NULL,
	`description` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`config_json` text NOT NULL,
	PRIMARY KEY(`scope_id`, `namespace`)
);
--> statement-breakpoint
CREATE TABLE `tool` (
	`scope_id` text NOT NULL,
	`path` text NOT NULL,
	`namespace` text NOT NULL,
	`name` text NOT NULL,
	`title` text,
	`binding` text,
	`requires_approval` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`annotations_json` text NOT NULL,
	`description` text NOT NULL,
	`input_schema_json` text NOT NULL,
	`output_schema_json` text,
	PRIMARY KEY(`scope_id`, `path`)
);
--> statement-breakpoint
CREATE INDEX `tool_namespace` ON `tool` (`scope_id`,`namespace`);