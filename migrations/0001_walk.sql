-- The walk of one push. Ids are made by us and sort by time; times are UTC milliseconds; JSON is TEXT; bytes are BYTEA,
-- a name that PostgreSQL knows and SQLite takes for any value. Migrations only add.

-- Every authentic webhook, committed before it is answered.
CREATE TABLE deliveries (
    id       BIGINT PRIMARY KEY,
    forge    TEXT   NOT NULL,
    hook     TEXT   NOT NULL,
    delivery TEXT   NOT NULL,
    event    TEXT   NOT NULL,
    headers  TEXT   NOT NULL,
    body     BYTEA  NOT NULL,
    received BIGINT NOT NULL,
    phase    TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    due      BIGINT NOT NULL,
    tries    BIGINT NOT NULL,
    trouble  TEXT   NOT NULL,
    -- in this order, for one event may come through several hooks, and is then looked for by its own id
    UNIQUE (forge, delivery, hook)
);
-- in the order of intake, so that a long queue is never sorted
CREATE INDEX deliveries_due ON deliveries (phase, due, id);

CREATE TABLE repositories (
    id          BIGINT PRIMARY KEY,
    forge       TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    facts       TEXT   NOT NULL,
    last_number BIGINT NOT NULL,
    UNIQUE (forge, name)
);

CREATE TABLE runs (
    id            BIGINT PRIMARY KEY,
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    number        BIGINT NOT NULL,
    delivery_id   BIGINT REFERENCES deliveries (id),
    rerun_of      BIGINT REFERENCES runs (id),
    flow          TEXT   NOT NULL,
    path          TEXT   NOT NULL,
    event         TEXT   NOT NULL,
    sha           TEXT   NOT NULL,
    plan          TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    diagnostics   TEXT   NOT NULL,
    phase         TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    -- why it waits, or why it was skipped; empty if there is nothing to say
    reason        TEXT   NOT NULL,
    -- who cancelled it
    cancelled_by  TEXT,
    -- images as the registry had them when the run first needed them
    pins          TEXT   NOT NULL,
    -- the snapshot of the commit, once it is made, and what it is a snapshot of
    source        TEXT,
    source_note   TEXT   NOT NULL,
    source_due    BIGINT NOT NULL,
    created       BIGINT NOT NULL,
    started       BIGINT,
    ended         BIGINT,
    UNIQUE (repository_id, number)
);
CREATE INDEX runs_phase ON runs (phase);
CREATE INDEX runs_sha ON runs (repository_id, sha);

CREATE TABLE actions (
    id           BIGINT PRIMARY KEY,
    run_id       BIGINT NOT NULL REFERENCES runs (id),
    stage        BIGINT NOT NULL,
    place        BIGINT NOT NULL,
    phase        TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    -- who wants a running action stopped
    cancelled_by TEXT,
    attempts     BIGINT NOT NULL,
    due          BIGINT NOT NULL,
    lease_until  BIGINT NOT NULL,
    fence        BIGINT NOT NULL,
    started      BIGINT,
    ended        BIGINT,
    UNIQUE (run_id, stage, place)
);
CREATE INDEX actions_due ON actions (phase, due);

-- One pod each.
CREATE TABLE attempts (
    id        BIGINT PRIMARY KEY,
    action_id BIGINT NOT NULL REFERENCES actions (id),
    number    BIGINT NOT NULL,
    executor  TEXT   NOT NULL,
    phase     TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    placed    BIGINT,
    started   BIGINT,
    ended     BIGINT,
    UNIQUE (action_id, number)
);
CREATE INDEX attempts_phase ON attempts (phase);

-- One container each.
CREATE TABLE jobs (
    id           BIGINT PRIMARY KEY,
    attempt_id   BIGINT NOT NULL REFERENCES attempts (id),
    place        BIGINT NOT NULL,
    phase        TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    token_hash   TEXT   NOT NULL UNIQUE,
    session_hash TEXT   UNIQUE,
    heard        BIGINT,
    started      BIGINT,
    ended        BIGINT,
    record       TEXT,
    log_length   BIGINT NOT NULL,
    log_newlines BIGINT NOT NULL,
    -- 1 if the log's last byte is no newline
    log_open     BIGINT NOT NULL,
    -- the blob that holds the log once it is complete
    log_blob     TEXT,
    -- the last lines of a failed job, for reports: they outlive the log
    tail         TEXT   NOT NULL,
    UNIQUE (attempt_id, place)
);

CREATE TABLE outputs (
    job_id BIGINT NOT NULL REFERENCES jobs (id),
    name   TEXT   NOT NULL,
    value  TEXT   NOT NULL,
    PRIMARY KEY (job_id, name)
);

-- A log's text, in order. `data` is one zstd frame; once the log is a blob the frame stands there at `place`.
CREATE TABLE log_chunks (
    job_id     BIGINT NOT NULL REFERENCES jobs (id),
    start      BIGINT NOT NULL,
    length     BIGINT NOT NULL,
    -- newlines in the log before this chunk, and in it
    line       BIGINT NOT NULL,
    newlines   BIGINT NOT NULL,
    pieces     BYTEA  NOT NULL,
    data       BYTEA,
    place      BIGINT,
    size       BIGINT NOT NULL,
    PRIMARY KEY (job_id, start)
);

-- What forges are to be told, and what they have acknowledged.
CREATE TABLE reports (
    id            BIGINT PRIMARY KEY,
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    sha           TEXT   NOT NULL,
    context       TEXT   NOT NULL,
    -- the run that speaks: an older run never overwrites a newer one
    generation    BIGINT NOT NULL,
    wanted        TEXT   NOT NULL,
    wanted_digest TEXT   NOT NULL,
    acknowledged  TEXT   NOT NULL,
    known         TEXT,
    due           BIGINT NOT NULL,
    tries         BIGINT NOT NULL,
    trouble       TEXT   NOT NULL,
    -- when it was wanted, and when the forge took it
    wanted_at     BIGINT NOT NULL,
    told_at       BIGINT,
    UNIQUE (repository_id, sha, context)
);
CREATE INDEX reports_due ON reports (due);
