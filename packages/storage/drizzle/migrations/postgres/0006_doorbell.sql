-- Tells those who listen, when it is committed, that an execution which should run was given up: see `freed` of `DBAdapter`.
CREATE FUNCTION "executor_freed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('executor_freed', '');
	RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "execution_freed" AFTER UPDATE OF "lease_until" ON "execution" FOR EACH ROW
	WHEN (NEW."lease_until" IS NULL AND OLD."lease_until" IS NOT NULL AND NEW."status" IN ('pending', 'running'))
	EXECUTE FUNCTION "executor_freed"();
