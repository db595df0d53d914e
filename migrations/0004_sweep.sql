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
CREATE INDEX recoveries_due ON recoveries (due) WHERE attempt <> '';
CREATE INDEX recoveries_head ON recoveries (repository_id, name, sha);
