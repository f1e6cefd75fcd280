-- Text by trigrams, for searches. Where the extension cannot be had, searches look into every row.
DO $$
BEGIN
	CREATE EXTENSION IF NOT EXISTS pg_trgm;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
	RAISE WARNING 'The extension pg_trgm cannot be had, so searches for text have no index: %', SQLERRM;
END
$$;
--> statement-breakpoint
DO $$
DECLARE
	"place" record;
	"class" text := (SELECT quote_ident(n.nspname) || '.gin_trgm_ops' FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm');
BEGIN
	IF "class" IS NULL THEN RETURN; END IF;
	FOR "place" IN SELECT * FROM (VALUES ('execution_code', 'code'), ('execution', 'error_text'), ('execution_output', 'result_json'), ('execution_tool_call', 'args_json'), ('execution_tool_call', 'result_json'), ('execution_tool_call', 'error_text')) AS v("table", "column") LOOP
		EXECUTE format('CREATE INDEX %I ON %I USING gin (lower(%I) %s)', "place"."table" || '_' || "place"."column" || '_search', "place"."table", "place"."column", "class");
	END LOOP;
END
$$;
