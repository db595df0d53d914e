-- How long a run may take, in milliseconds, by its own plan; 0: not known, so it is looked for in the plan.
ALTER TABLE runs ADD COLUMN time_limit BIGINT NOT NULL DEFAULT 0;
