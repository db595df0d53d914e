-- What jobs leave for others: artifacts and caches. Both are bundles, a tar in compressed parts, each part a blob.

-- A part that a job has put, until it is of a bundle or the job has ended: a bundle has only parts that its own job put.
CREATE TABLE put_parts (
    job_id BIGINT NOT NULL REFERENCES jobs (id),
    digest TEXT   NOT NULL,
    size   BIGINT NOT NULL,
    PRIMARY KEY (job_id, digest)
);
CREATE INDEX put_parts_digest ON put_parts (digest);

CREATE TABLE bundles (
    id     BIGINT PRIMARY KEY,
    -- of the tar, and of its parts
    length BIGINT NOT NULL,
    size   BIGINT NOT NULL,
    files  BIGINT NOT NULL
);

CREATE TABLE bundle_parts (
    bundle_id BIGINT NOT NULL REFERENCES bundles (id),
    number    BIGINT NOT NULL,
    digest    TEXT   NOT NULL,
    size      BIGINT NOT NULL,
    PRIMARY KEY (bundle_id, number)
);
CREATE INDEX bundle_parts_digest ON bundle_parts (digest);

-- The bundles that a job was told of, and may fetch.
CREATE TABLE grants (
    job_id    BIGINT NOT NULL REFERENCES jobs (id),
    bundle_id BIGINT NOT NULL REFERENCES bundles (id),
    PRIMARY KEY (job_id, bundle_id)
);
CREATE INDEX grants_bundle ON grants (bundle_id);

CREATE TABLE artifacts (
    id        BIGINT PRIMARY KEY,
    job_id    BIGINT NOT NULL REFERENCES jobs (id),
    name      TEXT   NOT NULL,
    digest    TEXT   NOT NULL,
    -- its bytes, and the blob that lists its files; NULL once it has expired
    bundle_id BIGINT REFERENCES bundles (id),
    listing   TEXT,
    length    BIGINT NOT NULL,
    files     BIGINT NOT NULL,
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    UNIQUE (job_id, name)
);
CREATE INDEX artifacts_expires ON artifacts (expires) WHERE bundle_id IS NOT NULL;
CREATE INDEX artifacts_bundle ON artifacts (bundle_id) WHERE bundle_id IS NOT NULL;
CREATE INDEX artifacts_listing ON artifacts (listing) WHERE listing IS NOT NULL;

-- One cache of each key in each scope: what a run of that branch, tag or pull request has left.
CREATE TABLE caches (
    id            BIGINT PRIMARY KEY,
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    flow          TEXT   NOT NULL,
    scope         TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    key           TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    bundle_id     BIGINT NOT NULL REFERENCES bundles (id),
    length        BIGINT NOT NULL,
    -- how long the action took that had none
    miss_ms       BIGINT,
    created       BIGINT NOT NULL,
    used          BIGINT NOT NULL,
    UNIQUE (repository_id, flow, scope, name, key)
);
CREATE INDEX caches_bundle ON caches (bundle_id);
CREATE INDEX caches_used ON caches (used);

-- What jobs found.
CREATE TABLE cache_uses (
    job_id  BIGINT NOT NULL REFERENCES jobs (id),
    name    TEXT   NOT NULL,
    key     TEXT   NOT NULL,
    hit     TEXT   NOT NULL,
    length  BIGINT NOT NULL,
    miss_ms BIGINT,
    PRIMARY KEY (job_id, name)
);
