-- The truth, whatever dies: what is lost is found, what is told converges, who waits knows why, what is silent is noticed.

-- A replay is a delivery of its own, with the headers and the body of the delivery that it names here: the original,
-- for a replay of a replay repeats that, too.
ALTER TABLE deliveries ADD COLUMN replays BIGINT REFERENCES deliveries (id);
-- whose event it is, once somebody has read that
ALTER TABLE deliveries ADD COLUMN repository TEXT;

CREATE INDEX deliveries_replays ON deliveries (replays, id) WHERE replays IS NOT NULL;
CREATE INDEX deliveries_repository ON deliveries (repository, id) WHERE repository IS NOT NULL;
-- for lists of one state, newest first
CREATE INDEX deliveries_phase ON deliveries (phase, id);
CREATE INDEX runs_delivery ON runs (delivery_id) WHERE delivery_id IS NOT NULL;

-- What webhooks did not bring: found by asking the forge what it has, and what it could not deliver.

-- Where the sweep looks, and how far it is: a repository by its name, or '' for the hook of a whole forge (an App's).
CREATE TABLE sweeps (
    forge   TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    -- when the heads were listed last
    swept   BIGINT,
    -- attempts at deliveries before this have been looked through
    since   BIGINT NOT NULL,
    -- a look through them that is not at its end: up to when, and the forge's word for where it goes on
    upto    BIGINT NOT NULL,
    page    TEXT,
    due     BIGINT NOT NULL,
    -- why the last look did not see everything; empty if it did
    trouble TEXT   NOT NULL,
    PRIMARY KEY (forge, name)
);
CREATE INDEX sweeps_due ON sweeps (due);

-- The heads that the sweep saw last: refs/heads/…, refs/tags/…, refs/pull/N.
CREATE TABLE heads (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    name          TEXT   NOT NULL,
    sha           TEXT   NOT NULL,
    -- where it was before, as far as something was made of that; zeros if it was nowhere
    before        TEXT   NOT NULL,
    -- it came to be there after the one and before the other
    after         BIGINT NOT NULL,
    noticed       BIGINT NOT NULL,
    -- when it was known that something tells of it; nothing has as long as it is NULL
    settled       BIGINT,
    PRIMARY KEY (repository_id, name)
);

-- The heads that handled deliveries told of.
CREATE TABLE arrivals (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    name          TEXT   NOT NULL,
    sha           TEXT   NOT NULL,
    received      BIGINT NOT NULL,
    delivery_id   BIGINT NOT NULL REFERENCES deliveries (id),
    PRIMARY KEY (repository_id, name, sha)
);

-- Deliveries that the forge could not make and is asked for again, and those that the sweep has made of a head itself.
CREATE TABLE recoveries (
    forge         TEXT   NOT NULL,
    delivery      TEXT   NOT NULL,
    -- when what it tells of happened
    happened      BIGINT NOT NULL,
    -- whose hook it is: a repository's name, or ''
    hook_of       TEXT   NOT NULL,
    -- the forge's word for the attempt that failed; empty for a head
    attempt       TEXT   NOT NULL,
    asks          BIGINT NOT NULL,
    due           BIGINT NOT NULL,
    -- the head that it was made of
    repository_id BIGINT REFERENCES repositories (id),
    name          TEXT   NOT NULL,
    sha           TEXT   NOT NULL,
    after         BIGINT NOT NULL,
    noticed       BIGINT NOT NULL,
    PRIMARY KEY (forge, delivery)
);
-- what is asked for is young, however much was recovered before: so it is found by when it happened
CREATE INDEX recoveries_happened ON recoveries (happened) WHERE attempt <> '';
CREATE INDEX recoveries_head ON recoveries (repository_id, name, sha);

-- Reports that converge: what was begun and not heard of, what is read back, and what a forge still takes.

-- 0: the whole run, 1: one action. With a short budget the run comes first
ALTER TABLE reports ADD COLUMN rank BIGINT NOT NULL DEFAULT 1;
-- 1 if what is wanted is the last word
ALTER TABLE reports ADD COLUMN final BIGINT NOT NULL DEFAULT 0;
-- what was acknowledged, in short
ALTER TABLE reports ADD COLUMN told TEXT;
-- calls begun so far, counted before each: some forges take only so many, and an answer to an older one is no news
ALTER TABLE reports ADD COLUMN calls BIGINT NOT NULL DEFAULT 0;
-- when the call that is under way was begun
ALTER TABLE reports ADD COLUMN called_at BIGINT;
-- 1 if nobody knows what became of the last call: the forge is asked before it is told again
ALTER TABLE reports ADD COLUMN doubt BIGINT NOT NULL DEFAULT 0;
-- until when a call that was given up may still be carried out
ALTER TABLE reports ADD COLUMN late_until BIGINT NOT NULL DEFAULT 0;
-- when to read back what the forge shows
ALTER TABLE reports ADD COLUMN look_at BIGINT;
-- how often the forge showed something else than what it had acknowledged of this wish
ALTER TABLE reports ADD COLUMN repairs BIGINT NOT NULL DEFAULT 0;

UPDATE reports SET final = 1 WHERE wanted LIKE '{"progress":{"progress":"done"%';

DROP INDEX reports_due;
CREATE INDEX reports_untold ON reports (due) WHERE wanted_digest <> acknowledged;
CREATE INDEX reports_look ON reports (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX reports_called ON reports (called_at) WHERE called_at IS NOT NULL;
CREATE INDEX reports_open ON reports (repository_id) WHERE final = 0 OR wanted_digest <> acknowledged;

-- Calls that write, by the second they were begun in; the last hour's.
CREATE TABLE report_calls (
    account TEXT   NOT NULL,
    second  BIGINT NOT NULL,
    calls   BIGINT NOT NULL,
    PRIMARY KEY (account, second)
);

-- Whom a forge has asked for patience: until when, and how often in a row.
CREATE TABLE report_accounts (
    account     TEXT   PRIMARY KEY,
    quiet_until BIGINT NOT NULL,
    strikes     BIGINT NOT NULL
);

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

-- What a re-run repeats of the run in `rerun_of`, with which flow file, and who asked: JSON; NULL for a first run.
ALTER TABLE runs ADD COLUMN repeats TEXT;
-- The action of an earlier run whose end, outputs and logs stand here: this one never ran itself.
ALTER TABLE actions ADD COLUMN carried_from BIGINT REFERENCES actions (id);

-- When an agent that should have spoken did not: from its last word before to its first word after. `until` is NULL
-- while it is silent, and stays so if it never speaks again.
CREATE TABLE silences (
    job_id BIGINT NOT NULL REFERENCES jobs (id),
    since  BIGINT NOT NULL,
    until  BIGINT,
    PRIMARY KEY (job_id, since)
);

-- Logs: how long one may become, what was not taken of it, what its agent keeps back, and what it was found to be.
ALTER TABLE jobs ADD COLUMN log_limit BIGINT;
-- 1 if parts were refused, because the log was over its limit
ALTER TABLE jobs ADD COLUMN log_over BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN log_held TEXT;
ALTER TABLE jobs ADD COLUMN log_check TEXT;
-- what is still to be sealed, without a look at what was
CREATE INDEX jobs_unsealed ON jobs (id) WHERE phase = 'ended' AND log_check IS NULL AND log_length > 0;

-- Blobs that no row names, and since when we know so: one that stays so for long is removed. It is no use to look at a
-- blob's age instead: after a loss of the database all blobs are old, and their rows may yet be restored.
CREATE TABLE unneeded_blobs (
    digest TEXT   NOT NULL PRIMARY KEY,
    since  BIGINT NOT NULL
);
-- who needs a blob, without reading whole runs and jobs
CREATE INDEX runs_source ON runs (source, phase, ended) WHERE source IS NOT NULL;
CREATE INDEX jobs_log_blob ON jobs (log_blob) WHERE log_blob IS NOT NULL;

-- When an attempt's containers were first seen to run, if no agent was heard before: an agent that never comes is missed.
ALTER TABLE attempts ADD COLUMN ran BIGINT;

-- How long a run may take, in milliseconds, by its own plan; 0: not known, so it is looked for in the plan.
ALTER TABLE runs ADD COLUMN time_limit BIGINT NOT NULL DEFAULT 0;
