-- Services are rows of jobs, after those of their action's jobs.

-- After how many of the action's jobs it starts. NULL: it is a job.
ALTER TABLE jobs ADD COLUMN service_after BIGINT;
-- When a service was ready.
ALTER TABLE jobs ADD COLUMN ready BIGINT;
