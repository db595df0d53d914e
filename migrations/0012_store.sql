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
