CREATE UNIQUE INDEX "execution_rollup_key" ON "execution_rollup" ("scope_id", "period", "start", "status", "trigger_kind", "trigger_client", "asked_at") NULLS NOT DISTINCT;
--> statement-breakpoint
CREATE INDEX "execution_rollup_empty" ON "execution_rollup" ("executions") WHERE "executions" = 0;
--> statement-breakpoint
CREATE UNIQUE INDEX "duration_rollup_key" ON "duration_rollup" ("scope_id", "period", "start", "status", "trigger_kind", "asked_at", "duration_bin") NULLS NOT DISTINCT;
--> statement-breakpoint
CREATE INDEX "duration_rollup_empty" ON "duration_rollup" ("executions") WHERE "executions" = 0;
--> statement-breakpoint
CREATE UNIQUE INDEX "tool_rollup_key" ON "tool_rollup" ("scope_id", "period", "start", "tool", "status", "trigger_kind", "trigger_client", "asked_at") NULLS NOT DISTINCT;
--> statement-breakpoint
CREATE INDEX "tool_rollup_empty" ON "tool_rollup" ("executions") WHERE "executions" = 0;
--> statement-breakpoint
-- What is still to be added to the rollups, or to be taken from them (`change` is -1): written in the transaction that changes what is
-- counted, and applied by whoever reads a rollup next. So transactions that end executions never wait for each other.
CREATE TABLE "rollup_change" (
	"id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	"change" bigint NOT NULL,
	"only_tool" boolean NOT NULL,
	"tools" text[] COLLATE "C" NOT NULL,
	"scope_id" text COLLATE "C" NOT NULL,
	"status" text COLLATE "C" NOT NULL,
	"trigger_kind" text COLLATE "C",
	"trigger_client" text COLLATE "C",
	"asked_at" bigint,
	"created_at" bigint NOT NULL,
	"duration_bin" bigint,
	"calls" bigint NOT NULL,
	"failed_calls" bigint NOT NULL,
	"in_doubt_calls" bigint NOT NULL,
	"size" bigint NOT NULL
);
--> statement-breakpoint
CREATE FUNCTION "executor_apply_changes"() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT 1 FROM "rollup_change") THEN RETURN; END IF;
	-- One at a time: "Exed" in ASCII, beside the lock of the migrations.
	PERFORM pg_advisory_xact_lock(1165518180);
	WITH changes AS (DELETE FROM "rollup_change" RETURNING *),
	executions AS (
		INSERT INTO "execution_rollup" AS r ("scope_id", "period", "start", "status", "trigger_kind", "trigger_client", "asked_at", "executions", "calls", "failed_calls", "in_doubt_calls", "size")
		SELECT c."scope_id", p."period", CASE p."period" WHEN 0 THEN 0 ELSE c."created_at" - ((c."created_at" % p."period") + p."period") % p."period" END, c."status", c."trigger_kind", c."trigger_client", CASE WHEN c."asked_at" IS NOT NULL THEN 1 END, sum(c."change"), sum(c."change" * c."calls"), sum(c."change" * c."failed_calls"), sum(c."change" * c."in_doubt_calls"), sum(c."change" * c."size")
		FROM changes AS c, (VALUES (0::bigint), (3600000), (86400000)) AS p("period") WHERE NOT c."only_tool" GROUP BY 1, 2, 3, 4, 5, 6, 7
		ON CONFLICT ("scope_id", "period", "start", "status", "trigger_kind", "trigger_client", "asked_at") DO UPDATE SET "executions" = r."executions" + excluded."executions", "calls" = r."calls" + excluded."calls", "failed_calls" = r."failed_calls" + excluded."failed_calls", "in_doubt_calls" = r."in_doubt_calls" + excluded."in_doubt_calls", "size" = r."size" + excluded."size"
	), durations AS (
		INSERT INTO "duration_rollup" AS r ("scope_id", "period", "start", "status", "trigger_kind", "asked_at", "duration_bin", "executions")
		SELECT c."scope_id", p."period", CASE p."period" WHEN 0 THEN 0 ELSE c."created_at" - ((c."created_at" % p."period") + p."period") % p."period" END, c."status", c."trigger_kind", CASE WHEN c."asked_at" IS NOT NULL THEN 1 END, c."duration_bin", sum(c."change")
		FROM changes AS c, (VALUES (0::bigint), (3600000), (86400000)) AS p("period") WHERE NOT c."only_tool" AND c."duration_bin" IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7
		ON CONFLICT ("scope_id", "period", "start", "status", "trigger_kind", "asked_at", "duration_bin") DO UPDATE SET "executions" = r."executions" + excluded."executions"
	)
	INSERT INTO "tool_rollup" AS r ("scope_id", "period", "start", "tool", "status", "trigger_kind", "trigger_client", "asked_at", "executions", "calls", "failed_calls", "in_doubt_calls")
	SELECT c."scope_id", p."period", CASE p."period" WHEN 0 THEN 0 ELSE c."created_at" - ((c."created_at" % p."period") + p."period") % p."period" END, t."tool", c."status", c."trigger_kind", c."trigger_client", CASE WHEN c."asked_at" IS NOT NULL THEN 1 END, sum(c."change"), sum(c."change" * c."calls"), sum(c."change" * c."failed_calls"), sum(c."change" * c."in_doubt_calls")
	FROM changes AS c, unnest(c."tools") AS t("tool"), (VALUES (0::bigint), (3600000), (86400000)) AS p("period") WHERE TRUE GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
	ON CONFLICT ("scope_id", "period", "start", "tool", "status", "trigger_kind", "trigger_client", "asked_at") DO UPDATE SET "executions" = r."executions" + excluded."executions", "calls" = r."calls" + excluded."calls", "failed_calls" = r."failed_calls" + excluded."failed_calls", "in_doubt_calls" = r."in_doubt_calls" + excluded."in_doubt_calls";
	DELETE FROM "execution_rollup" WHERE "executions" = 0;
	DELETE FROM "duration_rollup" WHERE "executions" = 0;
	DELETE FROM "tool_rollup" WHERE "executions" = 0;
END $$;
--> statement-breakpoint
CREATE FUNCTION "executor_note_change"(change integer, e "execution", only_tool text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO "rollup_change" ("change", "only_tool", "tools", "scope_id", "status", "trigger_kind", "trigger_client", "asked_at", "created_at", "duration_bin", "calls", "failed_calls", "in_doubt_calls", "size")
	SELECT change, only_tool IS NOT NULL,
		CASE WHEN only_tool IS NULL THEN ARRAY(SELECT t."tool" FROM "execution_tool" AS t WHERE t."execution_id" = e."id") ELSE ARRAY[only_tool] END,
		e."scope_id", e."status", e."trigger_kind", e."trigger_client", e."asked_at", e."created_at", e."duration_bin", e."tool_call_count", e."failed_call_count", e."in_doubt_call_count", e."size"
	WHERE e."status" IN ('completed', 'failed', 'cancelled')
$$;
--> statement-breakpoint
CREATE FUNCTION "executor_execution_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN PERFORM executor_note_change(-1, OLD, NULL); END IF;
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	PERFORM executor_note_change(1, NEW, NULL);
	RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER "execution_rollup_insert" AFTER INSERT ON "execution"
	FOR EACH ROW WHEN (NEW."status" IN ('completed', 'failed', 'cancelled')) EXECUTE FUNCTION "executor_execution_changed"();
--> statement-breakpoint
CREATE TRIGGER "execution_rollup_update" AFTER UPDATE ON "execution"
	FOR EACH ROW WHEN ((OLD."status" IN ('completed', 'failed', 'cancelled') OR NEW."status" IN ('completed', 'failed', 'cancelled')) AND (NEW."scope_id" IS DISTINCT FROM OLD."scope_id" OR NEW."status" IS DISTINCT FROM OLD."status" OR NEW."trigger_kind" IS DISTINCT FROM OLD."trigger_kind" OR NEW."trigger_client" IS DISTINCT FROM OLD."trigger_client" OR NEW."asked_at" IS DISTINCT FROM OLD."asked_at" OR NEW."created_at" IS DISTINCT FROM OLD."created_at" OR NEW."duration_bin" IS DISTINCT FROM OLD."duration_bin" OR NEW."tool_call_count" IS DISTINCT FROM OLD."tool_call_count" OR NEW."failed_call_count" IS DISTINCT FROM OLD."failed_call_count" OR NEW."in_doubt_call_count" IS DISTINCT FROM OLD."in_doubt_call_count" OR NEW."size" IS DISTINCT FROM OLD."size"))
	EXECUTE FUNCTION "executor_execution_changed"();
--> statement-breakpoint
-- Before: its tools are still there.
CREATE TRIGGER "execution_rollup_delete" BEFORE DELETE ON "execution"
	FOR EACH ROW WHEN (OLD."status" IN ('completed', 'failed', 'cancelled')) EXECUTE FUNCTION "executor_execution_changed"();
--> statement-breakpoint
CREATE FUNCTION "executor_tool_called"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM executor_note_change(1, e, NEW."tool") FROM "execution" AS e WHERE e."id" = NEW."execution_id";
	RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER "execution_tool_rollup_insert" AFTER INSERT ON "execution_tool"
	FOR EACH ROW EXECUTE FUNCTION "executor_tool_called"();
