-- Nobody applies changes meanwhile.
SELECT pg_advisory_xact_lock(1165518180);
--> statement-breakpoint
-- With `executions` in an index, each addition to a counter would leave an entry behind in all indexes of its table.
DROP INDEX "execution_rollup_empty";
--> statement-breakpoint
DROP INDEX "duration_rollup_empty";
--> statement-breakpoint
DROP INDEX "tool_rollup_empty";
--> statement-breakpoint
DROP INDEX "tool_set_rollup_empty";
--> statement-breakpoint
-- The noted changes of the rollups are applied in steps, each a short transaction: see `src/internal/postgresCounters.ts`.
--
-- A step applies the oldest `most` changes, unless another process is applying: then it applies none, and does not wait.
-- `up_to` is NULL for the first step. What a step gives as `up_to` is for the next one. It is NULL when all is applied that
-- was committed before the first step, also by others. What is committed later does not keep the caller.
CREATE FUNCTION "executor_apply_some"(most bigint, INOUT up_to bigint, OUT applied bigint) LANGUAGE plpgsql AS $$
DECLARE
	empty_executions tid[];
	empty_durations tid[];
	empty_tools tid[];
	empty_tool_sets tid[];
BEGIN
	applied := 0;
	SELECT max("id") INTO up_to FROM "rollup_change" WHERE "id" <= coalesce(up_to, 9223372036854775807);
	-- One at a time: "Exed" in ASCII, beside the lock of the migrations.
	IF up_to IS NULL OR NOT pg_try_advisory_xact_lock(1165518180) THEN RETURN; END IF;
	-- Changes that are counted in the same hour, group, set of tools and bin are added up first. Groups and sets are looked up once
	-- for each that occurs, by an index. Comparing arrays, NULL equals NULL, and a hash can be used.
	WITH taken AS (
		DELETE FROM "rollup_change" WHERE ctid = ANY (ARRAY(SELECT ctid FROM "rollup_change" ORDER BY "id" LIMIT most)) RETURNING *
	), summed AS MATERIALIZED (
		SELECT "scope_id", "status", "trigger_kind", "trigger_client", "asked_at" IS NOT NULL AS "asked", "tools",
			"created_at" - (("created_at" % 3600000) + 3600000) % 3600000 AS "hour", "duration_bin",
			sum("change")::bigint AS "executions", sum("change" * "calls")::bigint AS "calls", sum("change" * "failed_calls")::bigint AS "failed_calls",
			sum("change" * "in_doubt_calls")::bigint AS "in_doubt_calls", sum("change" * "size")::bigint AS "size"
		FROM taken GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
	), wanted_groups AS MATERIALIZED (
		SELECT DISTINCT s."scope_id", s."status", s."trigger_kind", k."client", s."asked"
		FROM summed AS s, LATERAL (VALUES (s."trigger_client"), (NULL)) AS k("client")
	), old_groups AS MATERIALIZED (
		SELECT g.* FROM (SELECT DISTINCT "scope_id", "status" FROM wanted_groups) AS k,
			LATERAL (SELECT * FROM "rollup_group" AS g WHERE g."scope_id" = k."scope_id" AND g."status" = k."status" OFFSET 0) AS g
	), new_groups AS (
		INSERT INTO "rollup_group" ("scope_id", "status", "trigger_kind", "trigger_client", "asked")
			SELECT * FROM wanted_groups EXCEPT SELECT "scope_id", "status", "trigger_kind", "trigger_client", "asked" FROM old_groups
			RETURNING *
	), groups AS MATERIALIZED (
		SELECT "id", ARRAY["scope_id", "status", "trigger_kind", "trigger_client", "asked"::text] AS "key"
		FROM (SELECT * FROM old_groups UNION ALL SELECT * FROM new_groups) AS g
	), wanted_sets AS MATERIALIZED (
		SELECT k.*, s."id"
		FROM (SELECT DISTINCT "scope_id", "tools", array_to_json("tools")::text AS "tools_json" FROM summed WHERE "tools" <> '{}') AS k
			LEFT JOIN LATERAL (SELECT s."id" FROM "tool_set" AS s WHERE s."tools_json" = k."tools_json" AND s."scope_id" = k."scope_id" OFFSET 0) AS s ON TRUE
	), new_sets AS (
		INSERT INTO "tool_set" ("scope_id", "tools_json") SELECT "scope_id", "tools_json" FROM wanted_sets WHERE "id" IS NULL RETURNING *
	), sets AS MATERIALIZED (
		SELECT k."scope_id", k."tools", coalesce(k."id", n."id") AS "id" FROM wanted_sets AS k
			LEFT JOIN new_sets AS n ON n."scope_id" = k."scope_id" AND n."tools_json" = k."tools_json"
	), counted AS MATERIALIZED (
		SELECT g."id" AS "group_id", a."id" AS "any_client_id", t."id" AS "tool_set_id", s."tools", s."hour", s."duration_bin",
			s."executions", s."calls", s."failed_calls", s."in_doubt_calls", s."size"
		FROM summed AS s
			JOIN groups AS g ON g."key" = ARRAY[s."scope_id", s."status", s."trigger_kind", s."trigger_client", s."asked"::text]
			JOIN groups AS a ON a."key" = ARRAY[s."scope_id", s."status", s."trigger_kind", NULL, s."asked"::text]
			LEFT JOIN sets AS t ON t."scope_id" = s."scope_id" AND t."tools" = s."tools"
	), executions AS (
		INSERT INTO "execution_rollup" AS r ("group_id", "period", "start", "executions", "calls", "failed_calls", "in_doubt_calls", "size")
			SELECT c."group_id", p."period", CASE p."period" WHEN 0 THEN 0 ELSE c."hour" - ((c."hour" % p."period") + p."period") % p."period" END,
				sum(c."executions"), sum(c."calls"), sum(c."failed_calls"), sum(c."in_doubt_calls"), sum(c."size")
			FROM counted AS c, (VALUES (0::bigint), (86400000), (3600000)) AS p("period") GROUP BY 1, 2, 3
			ON CONFLICT ("group_id", "period", "start") DO UPDATE SET "executions" = r."executions" + excluded."executions", "calls" = r."calls" + excluded."calls",
				"failed_calls" = r."failed_calls" + excluded."failed_calls", "in_doubt_calls" = r."in_doubt_calls" + excluded."in_doubt_calls", "size" = r."size" + excluded."size"
			RETURNING r.ctid AS "row", r."executions"
	), durations AS (
		INSERT INTO "duration_rollup" AS r ("group_id", "period", "start", "duration_bin", "executions")
			SELECT c."any_client_id", p."period", c."hour" - ((c."hour" % p."period") + p."period") % p."period", c."duration_bin", sum(c."executions")
			FROM counted AS c, (VALUES (604800000::bigint), (86400000), (3600000)) AS p("period") WHERE c."duration_bin" IS NOT NULL GROUP BY 1, 2, 3, 4
			ON CONFLICT ("group_id", "period", "start", "duration_bin") DO UPDATE SET "executions" = r."executions" + excluded."executions"
			RETURNING r.ctid AS "row", r."executions"
	), tools AS (
		INSERT INTO "tool_rollup" AS r ("group_id", "tool", "executions", "calls", "failed_calls", "in_doubt_calls")
			SELECT c."group_id", t."tool", sum(c."executions"), sum(c."calls"), sum(c."failed_calls"), sum(c."in_doubt_calls")
			FROM counted AS c, unnest(c."tools") AS t("tool") GROUP BY 1, 2
			ON CONFLICT ("group_id", "tool") DO UPDATE SET "executions" = r."executions" + excluded."executions", "calls" = r."calls" + excluded."calls",
				"failed_calls" = r."failed_calls" + excluded."failed_calls", "in_doubt_calls" = r."in_doubt_calls" + excluded."in_doubt_calls"
			RETURNING r.ctid AS "row", r."executions"
	), tool_sets AS (
		INSERT INTO "tool_set_rollup" AS r ("group_id", "period", "start", "tool_set_id", "duration_bin", "executions", "calls", "failed_calls", "in_doubt_calls")
			SELECT c."group_id", p."period", c."hour" - ((c."hour" % p."period") + p."period") % p."period", c."tool_set_id", coalesce(c."duration_bin", -1),
				sum(c."executions"), sum(c."calls"), sum(c."failed_calls"), sum(c."in_doubt_calls")
			FROM counted AS c, (VALUES (604800000::bigint), (3600000)) AS p("period") WHERE c."tool_set_id" IS NOT NULL GROUP BY 1, 2, 3, 4, 5
			ON CONFLICT ("group_id", "period", "start", "tool_set_id", "duration_bin") DO UPDATE SET "executions" = r."executions" + excluded."executions", "calls" = r."calls" + excluded."calls",
				"failed_calls" = r."failed_calls" + excluded."failed_calls", "in_doubt_calls" = r."in_doubt_calls" + excluded."in_doubt_calls"
			RETURNING r.ctid AS "row", r."executions"
	)
	SELECT (SELECT count(*) FROM taken), (SELECT array_agg("row") FROM executions WHERE "executions" = 0), (SELECT array_agg("row") FROM durations WHERE "executions" = 0),
		(SELECT array_agg("row") FROM tools WHERE "executions" = 0), (SELECT array_agg("row") FROM tool_sets WHERE "executions" = 0)
		INTO applied, empty_executions, empty_durations, empty_tools, empty_tool_sets;
	DELETE FROM "execution_rollup" WHERE ctid = ANY (empty_executions);
	DELETE FROM "duration_rollup" WHERE ctid = ANY (empty_durations);
	DELETE FROM "tool_rollup" WHERE ctid = ANY (empty_tools);
	DELETE FROM "tool_set_rollup" WHERE ctid = ANY (empty_tool_sets);
	IF coalesce((SELECT min("id") FROM "rollup_change") > up_to, TRUE) THEN up_to := NULL; END IF;
END $$;
--> statement-breakpoint
-- All of them in one transaction, which waits until it may: for the repair, and for processes of the version before the steps.
CREATE OR REPLACE FUNCTION "executor_apply_changes"() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	rest bigint;
BEGIN
	IF NOT EXISTS (SELECT 1 FROM "rollup_change") THEN RETURN; END IF;
	PERFORM pg_advisory_xact_lock(1165518180);
	LOOP
		SELECT s."up_to" INTO rest FROM executor_apply_some(20000, rest) AS s;
		EXIT WHEN rest IS NULL;
	END LOOP;
END $$;
