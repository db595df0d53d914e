-- What jobs have left for caches: a cache is made of it when its action has ended well, in the transaction of that end.
CREATE TABLE kept_caches (
    job_id    BIGINT NOT NULL REFERENCES jobs (id),
    name      TEXT   NOT NULL,
    key       TEXT   NOT NULL,
    digest    TEXT   NOT NULL,
    bundle_id BIGINT NOT NULL REFERENCES bundles (id),
    length    BIGINT NOT NULL,
    miss_ms   BIGINT,
    created   BIGINT NOT NULL,
    PRIMARY KEY (job_id, name)
);
CREATE INDEX kept_caches_bundle ON kept_caches (bundle_id);

-- The snapshots that a run needs besides its own: one for each set of options that its actions' checkouts have.
CREATE TABLE checkouts (
    run_id  BIGINT NOT NULL REFERENCES runs (id),
    options TEXT   NOT NULL,
    source  TEXT,
    -- what a branch or tag stood for when it was made first
    sha     TEXT,
    -- why it can never be made
    failure TEXT,
    -- why it could not be made so far; empty: it was not tried
    trouble TEXT   NOT NULL,
    due     BIGINT NOT NULL,
    PRIMARY KEY (run_id, options)
);
CREATE INDEX checkouts_source ON checkouts (source) WHERE source IS NOT NULL;
CREATE INDEX checkouts_due ON checkouts (due) WHERE source IS NULL AND failure IS NULL;
