-- Looks each execution up by its id. As a join it kept, for as long as a connection lived, the plan that it had made for a table that was
-- small then: it read the whole table for every tool.
CREATE OR REPLACE FUNCTION "executor_tool_called"() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan TO off AS $$
DECLARE
	called record;
BEGIN
	FOR called IN SELECT "execution_id", array_agg("tool") AS "tools" FROM added GROUP BY 1 LOOP
		PERFORM executor_note_change(-1, e, called."tools"), executor_note_change(1, e, NULL)
			FROM "execution" AS e WHERE e."id" = called."execution_id" AND e."status" IN ('completed', 'failed', 'cancelled');
	END LOOP;
	RETURN NULL;
END $$;
