-- What the reports of a job say of its tests: counted, and those that failed.
CREATE TABLE tests (
    job_id   BIGINT NOT NULL PRIMARY KEY REFERENCES jobs (id),
    -- of what they came in
    digest   TEXT   NOT NULL,
    files    BIGINT NOT NULL,
    tests    BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    errors   BIGINT NOT NULL,
    skipped  BIGINT NOT NULL,
    flaky    BIGINT NOT NULL,
    millis   BIGINT NOT NULL,
    -- what is odd about the files: a list of texts, JSON
    notes    TEXT   NOT NULL
);

CREATE TABLE failed_tests (
    job_id  BIGINT NOT NULL REFERENCES jobs (id),
    -- in the reports' order
    number  BIGINT NOT NULL,
    suite   TEXT   NOT NULL,
    class   TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    outcome TEXT   NOT NULL,
    millis  BIGINT NOT NULL,
    message TEXT   NOT NULL,
    details TEXT   NOT NULL,
    -- in the repository; empty and 0: nobody says
    file    TEXT   NOT NULL,
    line    BIGINT NOT NULL,
    PRIMARY KEY (job_id, number)
);
