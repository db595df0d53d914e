-- Blobs that no row names, and since when we know so: one that stays so for long is removed. It is no use to look at a
-- blob's age instead: after a loss of the database all blobs are old, and their rows may yet be restored.
CREATE TABLE unneeded_blobs (
    digest TEXT   NOT NULL PRIMARY KEY,
    since  BIGINT NOT NULL
);
-- who needs a blob, without reading whole runs and jobs
CREATE INDEX runs_source ON runs (source, phase, ended) WHERE source IS NOT NULL;
CREATE INDEX jobs_log_blob ON jobs (log_blob) WHERE log_blob IS NOT NULL;
