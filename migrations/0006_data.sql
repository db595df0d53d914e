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
