-- Lists of runs by what people look for, what repositories' statistics are made of, and badges.

-- What a list shows of a run's state: queued, running, paused (it waits for people), or its conclusion.
ALTER TABLE runs ADD COLUMN label TEXT NOT NULL DEFAULT '';
-- What of a run's event people look for. An empty kind: made by an earlier release, and filled in at the next start.
ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN branch TEXT;
ALTER TABLE runs ADD COLUMN tag TEXT;
ALTER TABLE runs ADD COLUMN pull BIGINT;
-- who did it, and whose pull request it is; in lower case
ALTER TABLE runs ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN author TEXT NOT NULL DEFAULT '';
-- milliseconds: from its making to its first job's start, and from there to its end but for what people took to answer
ALTER TABLE runs ADD COLUMN waited BIGINT;
ALTER TABLE runs ADD COLUMN took BIGINT;

-- A run's row is wide, for its plan stands in it. These hold all that a list looks at, so however rare what is looked
-- for, no row is read but those that are shown.
CREATE INDEX runs_listed ON runs (repository_id, id, label, kind, flow, branch, tag, pull, actor, author, waited, took);
CREATE INDEX runs_listed_all ON runs (id, repository_id, label, kind, flow, branch, tag, pull, actor, author);
-- of a commit's runs the newest, without a look at all others
DROP INDEX runs_sha;
CREATE INDEX runs_sha ON runs (repository_id, sha, id);
CREATE INDEX runs_unlisted ON runs (id) WHERE kind = '';

-- How a repository's jobs end, counted for each day.
CREATE TABLE job_days (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    -- since 1970, in UTC
    day           BIGINT NOT NULL,
    flow          TEXT   NOT NULL,
    -- the default branch's name, or '' for what ran elsewhere
    branch        TEXT   NOT NULL,
    -- stage/action/job
    job           TEXT   NOT NULL,
    ran           BIGINT NOT NULL,
    failed        BIGINT NOT NULL,
    -- those that failed and then ended well at the same commit
    flaky         BIGINT NOT NULL,
    millis        BIGINT NOT NULL,
    longest       BIGINT NOT NULL,
    -- the number of the run in which it failed last; 0: in none
    failed_in     BIGINT NOT NULL,
    PRIMARY KEY (repository_id, day, flow, branch, job)
);

-- Jobs that failed at a commit, and whether they have ended well there since.
CREATE TABLE job_failures (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    sha           TEXT   NOT NULL,
    flow          TEXT   NOT NULL,
    job           TEXT   NOT NULL,
    failed        BIGINT NOT NULL,
    passed        BIGINT NOT NULL,
    PRIMARY KEY (repository_id, sha, flow, job)
);
