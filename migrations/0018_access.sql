-- Who has signed in, what their tokens may, and what was changed by whom.

-- People by the account's own id on its forge, which outlives its name.
CREATE TABLE people (
    id      BIGINT PRIMARY KEY,
    forge   TEXT   NOT NULL,
    -- `id:` and the forge's id; `login:` and the name of one who has not signed in yet
    account TEXT   NOT NULL,
    login   TEXT   NOT NULL,
    seen    BIGINT NOT NULL,
    UNIQUE (forge, account)
);

-- Of a session, and of a token, only the hash is kept.
CREATE TABLE sessions (
    hash      TEXT   PRIMARY KEY,
    person_id BIGINT NOT NULL REFERENCES people (id),
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL
);
CREATE INDEX sessions_expire ON sessions (expires);

CREATE TABLE api_tokens (
    id        BIGINT PRIMARY KEY,
    hash      TEXT   NOT NULL UNIQUE,
    name      TEXT   NOT NULL,
    -- whose rights it has; none: the server's own
    person_id BIGINT REFERENCES people (id),
    scopes    TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    used      BIGINT,
    used_from TEXT   NOT NULL
);
CREATE INDEX api_tokens_of ON api_tokens (person_id);

-- Every change that somebody has asked for.
CREATE TABLE audit (
    id            BIGINT PRIMARY KEY,
    at            BIGINT NOT NULL,
    who           TEXT   NOT NULL,
    way           TEXT   NOT NULL,
    address       TEXT   NOT NULL,
    what          TEXT   NOT NULL,
    repository_id BIGINT REFERENCES repositories (id),
    target        TEXT   NOT NULL,
    outcome       TEXT   NOT NULL
);
CREATE INDEX audit_of ON audit (repository_id, id);
