-- Secrets, each encrypted for its row: with another row's scope, name or limits it is nothing.
CREATE TABLE secrets (
    forge      TEXT   NOT NULL,
    -- owner or repository
    level      TEXT   NOT NULL,
    -- the owner's or the repository's name
    scope      TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    -- which of the jobs that want it get it, JSON
    limits     TEXT   NOT NULL,
    -- by which of the server's keys it is encrypted
    key_id     TEXT   NOT NULL,
    -- nonce, ciphertext and tag
    sealed     BYTEA  NOT NULL,
    created    BIGINT NOT NULL,
    changed    BIGINT NOT NULL,
    changed_by TEXT   NOT NULL,
    PRIMARY KEY (forge, level, scope, name)
);

-- The names of the secrets that a run's jobs ask for, and of those that they get, JSON; both beside the plan.
ALTER TABLE runs ADD COLUMN wants TEXT;
ALTER TABLE runs ADD COLUMN grants TEXT;

-- How many bytes of secrets the server has hidden in a log that its agent had let pass.
ALTER TABLE jobs ADD COLUMN log_hidden BIGINT NOT NULL DEFAULT 0;
