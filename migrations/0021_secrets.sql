-- When a job was given it last.
ALTER TABLE secrets ADD COLUMN used BIGINT;

-- What the jobs of a run were given, encrypted as it was then: it stays hidden in what they say, whatever becomes of the
-- secret meanwhile and whoever restarts. It goes with the run's end.
CREATE TABLE given_secrets (
    run_id  BIGINT NOT NULL REFERENCES runs (id),
    -- of what is encrypted, SHA-256
    version TEXT   NOT NULL,
    forge   TEXT   NOT NULL,
    level   TEXT   NOT NULL,
    scope   TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    limits  TEXT   NOT NULL,
    key_id  TEXT   NOT NULL,
    sealed  BYTEA  NOT NULL,
    given   BIGINT NOT NULL,
    PRIMARY KEY (run_id, version)
);
