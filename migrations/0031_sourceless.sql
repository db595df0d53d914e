-- Runs whose snapshot is to be made are few, and looked for once in a second at the least: without this each look reads
-- all runs that there have ever been, with their plans.
CREATE INDEX runs_sourceless ON runs (id) WHERE phase <> 'ended' AND source IS NULL;
