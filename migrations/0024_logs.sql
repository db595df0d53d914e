-- A log's parts are found by where they are and by which lines they have, without a look at what they hold.
CREATE INDEX log_chunks_by_place ON log_chunks (job_id, start, length, line, newlines, place, size);
CREATE INDEX log_chunks_by_line ON log_chunks (job_id, line, start);

-- What of a sealed log belongs together under a title.
CREATE TABLE log_folds (
    job_id BIGINT NOT NULL PRIMARY KEY REFERENCES jobs (id),
    -- at most a thousand, JSON
    found  TEXT   NOT NULL
);
