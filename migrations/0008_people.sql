-- What only people can decide, and who is told how runs end.

-- Stages of runs that wait, or have waited, for a person.
CREATE TABLE approvals (
    run_id      BIGINT NOT NULL REFERENCES runs (id),
    -- its place in the plan
    stage       BIGINT NOT NULL,
    asked       BIGINT NOT NULL,
    expires     BIGINT NOT NULL,
    -- JSON; NULL while it waits
    answer      TEXT,
    answered_by TEXT   NOT NULL,
    note        TEXT   NOT NULL,
    answered    BIGINT,
    PRIMARY KEY (run_id, stage)
);
CREATE INDEX approvals_open ON approvals (expires) WHERE answer IS NULL;

-- Since when a run that had started does nothing but wait for people, and for how long it did so before, in
-- milliseconds: that time is not its own.
ALTER TABLE runs ADD COLUMN paused_since BIGINT;
ALTER TABLE runs ADD COLUMN paused BIGINT NOT NULL DEFAULT 0;
