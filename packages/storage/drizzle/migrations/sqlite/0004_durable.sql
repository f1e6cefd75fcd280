ALTER TABLE `execution` ADD `cancel_requested_at` integer;--> statement-breakpoint
ALTER TABLE `execution` ADD `sandbox_build` text;--> statement-breakpoint
ALTER TABLE `execution` ADD `options_json` text;--> statement-breakpoint
ALTER TABLE `execution_tool_call` ADD `answers_seen` integer;