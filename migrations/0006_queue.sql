-- Which runs wait for each other. `queue` is the name of a run's group in its repository, NULL for a run that has
-- nothing to do with others; `concurrency` is how it stands to them, as its plan has it.
ALTER TABLE runs ADD COLUMN queue TEXT;
ALTER TABLE runs ADD COLUMN concurrency TEXT NOT NULL DEFAULT 'null';
-- its place in the order of its group: by default its id
ALTER TABLE runs ADD COLUMN turn BIGINT;
-- when it was let go
ALTER TABLE runs ADD COLUMN released BIGINT;
-- the number of the newer run that took its place
ALTER TABLE runs ADD COLUMN superseded_by BIGINT;
CREATE INDEX runs_queue ON runs (repository_id, queue, turn);
CREATE INDEX runs_queue_open ON runs (repository_id, queue, turn, id) WHERE queue IS NOT NULL AND phase <> 'ended';
