-- When what happened to each attempt: what its pod said is kept when the pod is gone.

-- When the action was queued for its next attempt.
ALTER TABLE actions ADD COLUMN queued BIGINT;
-- The same, as the attempt found it.
ALTER TABLE attempts ADD COLUMN queued BIGINT;
-- What the executor has told of its moments so far, JSON.
ALTER TABLE attempts ADD COLUMN moments TEXT NOT NULL DEFAULT '{}';
