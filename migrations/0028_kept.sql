-- Until when logs and artifacts of runs are kept.

-- When they were removed, and why; NULL: they are there, as far as they are anybody's.
ALTER TABLE runs ADD COLUMN pruned BIGINT;
ALTER TABLE runs ADD COLUMN pruned_why TEXT;
-- the runs that still have theirs, of each kind the newest first, without a look at the wide rows
CREATE INDEX runs_kept ON runs (repository_id, kind, id, ended, number) WHERE pruned IS NULL AND phase = 'ended';
