-- Jobs that have no container: the server does their work itself. How far it is, as JSON; empty before it begins.
CREATE TABLE podless_jobs (
    job_id     BIGINT PRIMARY KEY REFERENCES jobs (id),
    attempt_id BIGINT NOT NULL REFERENCES attempts (id),
    progress   TEXT   NOT NULL
);
CREATE INDEX podless_jobs_attempt ON podless_jobs (attempt_id);
