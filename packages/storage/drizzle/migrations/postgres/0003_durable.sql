ALTER TABLE "execution" ADD COLUMN "cancel_requested_at" bigint;--> statement-breakpoint
ALTER TABLE "execution" ADD COLUMN "sandbox_build" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "execution" ADD COLUMN "options_json" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "execution_tool_call" ADD COLUMN "answers_seen" bigint;