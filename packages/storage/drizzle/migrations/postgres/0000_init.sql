CREATE TABLE "execution" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"scope_id" text COLLATE "C" NOT NULL,
	"status" text COLLATE "C" NOT NULL,
	"trigger_kind" text COLLATE "C",
	"trigger_client" text COLLATE "C",
	"tool_call_count" bigint NOT NULL,
	"failed_call_count" bigint NOT NULL,
	"in_doubt_call_count" bigint NOT NULL,
	"interaction_count" bigint NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"started_at" bigint,
	"completed_at" bigint,
	"duration_ms" bigint,
	"asked_at" bigint,
	"seed" bigint NOT NULL,
	"owner" text COLLATE "C",
	"lease_until" bigint,
	"epoch" bigint NOT NULL,
	"journal_complete" boolean NOT NULL,
	"parent_execution_id" text COLLATE "C",
	"idempotency_key" text COLLATE "C",
	"code_id" text COLLATE "C" NOT NULL,
	"trigger_meta_json" text COLLATE "C",
	"error_text" text COLLATE "C"
);
--> statement-breakpoint
CREATE TABLE "execution_code" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"scope_id" text COLLATE "C" NOT NULL,
	"preview" text COLLATE "C" NOT NULL,
	"code" text COLLATE "C" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "execution_interaction" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"execution_id" text COLLATE "C" NOT NULL,
	"scope_id" text COLLATE "C" NOT NULL,
	"tool_call_id" text COLLATE "C",
	"status" text COLLATE "C" NOT NULL,
	"kind" text COLLATE "C" NOT NULL,
	"purpose" text COLLATE "C" NOT NULL,
	"resolved_by" text COLLATE "C",
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"payload_json" text COLLATE "C" NOT NULL,
	"response_json" text COLLATE "C",
	"response_private_json" text COLLATE "C"
);
--> statement-breakpoint
CREATE TABLE "execution_output" (
	"execution_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"scope_id" text COLLATE "C" NOT NULL,
	"logs_json" text COLLATE "C",
	"result_json" text COLLATE "C"
);
--> statement-breakpoint
CREATE TABLE "execution_tool" (
	"execution_id" text COLLATE "C" NOT NULL,
	"tool" text COLLATE "C" NOT NULL,
	"scope_id" text COLLATE "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "execution_tool_execution_id_tool_pk" PRIMARY KEY("execution_id","tool")
);
--> statement-breakpoint
CREATE TABLE "execution_tool_call" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"execution_id" text COLLATE "C" NOT NULL,
	"scope_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"settle_seq" bigint,
	"status" text COLLATE "C" NOT NULL,
	"tool_path" text COLLATE "C" NOT NULL,
	"namespace" text COLLATE "C" NOT NULL,
	"idempotency_key" text COLLATE "C" NOT NULL,
	"started_at" bigint NOT NULL,
	"completed_at" bigint,
	"duration_ms" bigint,
	"error_text" text COLLATE "C",
	"args_json" text COLLATE "C",
	"result_json" text COLLATE "C"
);
--> statement-breakpoint
CREATE TABLE "source" (
	"scope_id" text COLLATE "C" NOT NULL,
	"namespace" text COLLATE "C" NOT NULL,
	"plugin_id" text COLLATE "C" NOT NULL,
	"description" text COLLATE "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"config_json" text COLLATE "C" NOT NULL,
	CONSTRAINT "source_scope_id_namespace_pk" PRIMARY KEY("scope_id","namespace")
);
--> statement-breakpoint
CREATE TABLE "tool" (
	"scope_id" text COLLATE "C" NOT NULL,
	"path" text COLLATE "C" NOT NULL,
	"namespace" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"title" text COLLATE "C",
	"binding" text COLLATE "C",
	"requires_approval" boolean NOT NULL,
	"updated_at" bigint NOT NULL,
	"annotations_json" text COLLATE "C" NOT NULL,
	"description" text COLLATE "C" NOT NULL,
	"input_schema_json" text COLLATE "C" NOT NULL,
	"output_schema_json" text COLLATE "C",
	CONSTRAINT "tool_scope_id_path_pk" PRIMARY KEY("scope_id","path")
);
--> statement-breakpoint
CREATE TABLE "tool_name" (
	"scope_id" text COLLATE "C" NOT NULL,
	"tool" text COLLATE "C" NOT NULL,
	CONSTRAINT "tool_name_scope_id_tool_pk" PRIMARY KEY("scope_id","tool")
);
--> statement-breakpoint
ALTER TABLE "execution" ADD CONSTRAINT "execution_code_id_execution_code_id_fk" FOREIGN KEY ("code_id") REFERENCES "public"."execution_code"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "execution_interaction" ADD CONSTRAINT "execution_interaction_execution_id_execution_id_fk" FOREIGN KEY ("execution_id") REFERENCES "public"."execution"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "execution_output" ADD CONSTRAINT "execution_output_execution_id_execution_id_fk" FOREIGN KEY ("execution_id") REFERENCES "public"."execution"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "execution_tool" ADD CONSTRAINT "execution_tool_execution_id_execution_id_fk" FOREIGN KEY ("execution_id") REFERENCES "public"."execution"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "execution_tool_call" ADD CONSTRAINT "execution_tool_call_execution_id_execution_id_fk" FOREIGN KEY ("execution_id") REFERENCES "public"."execution"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "execution_created" ON "execution" USING btree ("scope_id","created_at","id");--> statement-breakpoint
CREATE INDEX "execution_status" ON "execution" USING btree ("scope_id","status","created_at","id");--> statement-breakpoint
CREATE INDEX "execution_trigger" ON "execution" USING btree ("scope_id","trigger_kind","created_at","id");--> statement-breakpoint
CREATE INDEX "execution_code_created" ON "execution" USING btree ("code_id","created_at","id");--> statement-breakpoint
CREATE INDEX "execution_asked" ON "execution" USING btree ("scope_id","created_at","id") WHERE "execution"."asked_at" is not null;--> statement-breakpoint
CREATE INDEX "execution_duration" ON "execution" USING btree ("scope_id","duration_ms","id") WHERE "execution"."duration_ms" is not null;--> statement-breakpoint
CREATE INDEX "execution_completed" ON "execution" USING btree ("scope_id","completed_at","id") WHERE "execution"."completed_at" is not null;--> statement-breakpoint
CREATE INDEX "execution_parent" ON "execution" USING btree ("parent_execution_id") WHERE "execution"."parent_execution_id" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "execution_idempotency" ON "execution" USING btree ("scope_id","idempotency_key") WHERE "execution"."idempotency_key" is not null;--> statement-breakpoint
CREATE INDEX "execution_interaction_execution" ON "execution_interaction" USING btree ("execution_id","status","created_at","id");--> statement-breakpoint
CREATE INDEX "execution_interaction_status" ON "execution_interaction" USING btree ("scope_id","status","created_at");--> statement-breakpoint
CREATE INDEX "execution_tool_created" ON "execution_tool" USING btree ("scope_id","tool","created_at","execution_id");--> statement-breakpoint
CREATE UNIQUE INDEX "execution_tool_call_seq" ON "execution_tool_call" USING btree ("execution_id","seq");--> statement-breakpoint
CREATE INDEX "tool_namespace" ON "tool" USING btree ("scope_id","namespace");