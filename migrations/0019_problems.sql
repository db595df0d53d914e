-- What a sealed log says of lines of files.
CREATE TABLE problems (
    job_id BIGINT NOT NULL PRIMARY KEY REFERENCES jobs (id),
    -- at most a few dozen, JSON
    found  TEXT   NOT NULL
);
