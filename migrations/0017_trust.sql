-- Code that nobody vouches for: what its runs wait for, and who said what.

-- A run of untrusted code.
CREATE TABLE vettings (
    run_id      BIGINT PRIMARY KEY REFERENCES runs (id),
    -- waits, approved, rejected, or admitted: by the repository's rule
    standing    TEXT   NOT NULL,
    -- the digest of the flow file that it is made of, and whose that is: base or head
    flow_digest TEXT   NOT NULL,
    flow_from   TEXT   NOT NULL,
    -- the flow file of either side, as far as it is shown; NULL: there is none
    base_text   TEXT,
    head_text   TEXT,
    asked       BIGINT NOT NULL,
    -- the names of the secrets that were granted, JSON
    secrets     TEXT   NOT NULL,
    answered_by TEXT   NOT NULL,
    note        TEXT   NOT NULL,
    answered    BIGINT
);
CREATE INDEX vettings_waiting ON vettings (run_id) WHERE standing = 'waits';

-- Rules of repositories that stand over the setting's.
CREATE TABLE untrusted_policies (
    repository_id BIGINT PRIMARY KEY REFERENCES repositories (id),
    policy        TEXT   NOT NULL,
    set_by        TEXT   NOT NULL,
    set_at        BIGINT NOT NULL
);
