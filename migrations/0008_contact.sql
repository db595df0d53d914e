-- When an agent that should have spoken did not: from its last word before to its first word after. `until` is NULL
-- while it is silent, and stays so if it never speaks again.
CREATE TABLE silences (
    job_id BIGINT NOT NULL REFERENCES jobs (id),
    since  BIGINT NOT NULL,
    until  BIGINT,
    PRIMARY KEY (job_id, since)
);
