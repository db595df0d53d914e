-- Organisations and repositories: what they may use, and what they do use.

-- What may be used at once, and in a month. A level is `server` (everything, without forge and name), `owner` or
-- `repository`; NULL limits nothing.
CREATE TABLE quotas (
    level      TEXT   NOT NULL,
    forge      TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    -- actions at once; CPU in thousandths, memory and what is stored in bytes; jobs' minutes in a month
    actions    BIGINT,
    cpu        BIGINT,
    memory     BIGINT,
    storage    BIGINT,
    minutes    BIGINT,
    -- its weight among those beside it
    priority   BIGINT,
    changed    BIGINT NOT NULL,
    changed_by TEXT   NOT NULL,
    PRIMARY KEY (level, forge, name)
);

-- What a repository has used: its jobs' milliseconds in the month (year * 100 + month), and what fades with time.
CREATE TABLE uses (
    repository_id BIGINT PRIMARY KEY REFERENCES repositories (id),
    month         BIGINT NOT NULL,
    millis        BIGINT NOT NULL,
    recent        BIGINT NOT NULL,
    recent_at     BIGINT NOT NULL,
    -- the bytes of its logs, as of the last look
    logs          BIGINT NOT NULL DEFAULT 0
);

-- When it was its turn to use something; NULL: it waits for that, and nothing of it is begun.
ALTER TABLE actions ADD COLUMN admitted BIGINT;
-- 1 if it was told to wait for room; its reason says for what.
ALTER TABLE actions ADD COLUMN held BIGINT;
-- What it uses of its quotas: 1 or, if nothing of it runs on the executor, 0; CPU in thousandths; bytes of memory.
ALTER TABLE actions ADD COLUMN places BIGINT NOT NULL DEFAULT 1;
ALTER TABLE actions ADD COLUMN cpu BIGINT NOT NULL DEFAULT 0;
ALTER TABLE actions ADD COLUMN memory BIGINT NOT NULL DEFAULT 0;
-- what is under way goes on
UPDATE actions SET admitted = 0 WHERE phase IN ('queued', 'running');

-- who waits
CREATE INDEX actions_waiting ON actions (queued, id) WHERE phase = 'queued' AND admitted IS NULL;
-- who uses something
CREATE INDEX actions_using ON actions (run_id, places, cpu, memory) WHERE phase <> 'ended' AND admitted IS NOT NULL;
-- who wants a driver: those that only wait are not looked at
CREATE INDEX actions_drivable ON actions (due, id) WHERE phase IN ('queued', 'running')
    AND (admitted IS NOT NULL OR cancelled_by IS NOT NULL OR phase = 'running');
