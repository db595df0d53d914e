-- Several servers on one database. Each has a row while it lives; what the database calls "now" counts, for its clock is
-- the only one that all of them have.
CREATE TABLE replicas (
    id      BIGINT NOT NULL PRIMARY KEY,
    -- for people: the machine and the process
    name    TEXT   NOT NULL,
    started BIGINT NOT NULL,
    heard   BIGINT NOT NULL,
    -- since when the database ran when it connected: with the database's own end all connections end
    epoch   BIGINT NOT NULL
);

-- Who has taken the lease, or makes the call; 0: a server that is alone.
ALTER TABLE actions ADD COLUMN holder BIGINT NOT NULL DEFAULT 0;
ALTER TABLE reports ADD COLUMN holder BIGINT NOT NULL DEFAULT 0;

-- What one server does for all of them. Whoever holds a duty and has no row among the replicas has lost it.
CREATE TABLE duties (
    name   TEXT   NOT NULL PRIMARY KEY,
    holder BIGINT NOT NULL,
    -- counts up each time that somebody takes it
    number BIGINT NOT NULL
);

-- What all servers of a database must have alike.
CREATE TABLE agreements (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
