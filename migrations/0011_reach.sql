-- Who is told how runs end besides the forge, and runs that jobs start.

-- What a run's event is one of a line of: its branch, its pull request, the tags. A run can fix what another one of its
-- line had broken. Empty: the run was made by an earlier release.
ALTER TABLE runs ADD COLUMN line TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_line ON runs (repository_id, flow, line, id);

-- What each receiver of a run is to be told, until it is taken or given up.
CREATE TABLE notices (
    run_id  BIGINT NOT NULL REFERENCES runs (id),
    -- the receiver's place in the run's plan
    place   BIGINT NOT NULL,
    -- mail or webhook
    way     TEXT   NOT NULL,
    address TEXT   NOT NULL,
    -- failure, fixed, success or always
    news    TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    body    TEXT   NOT NULL,
    -- due, sent or given_up
    phase   TEXT   NOT NULL,
    due     BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    trouble TEXT   NOT NULL,
    created BIGINT NOT NULL,
    ended   BIGINT,
    PRIMARY KEY (run_id, place)
);
CREATE INDEX notices_due ON notices (due) WHERE phase = 'due';
