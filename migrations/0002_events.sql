-- What jobs post to the original's event URLs (CO_COMPONENT_START … CO_COMPONENT_STOP), as it came.
CREATE TABLE job_events (
    job_id   BIGINT NOT NULL REFERENCES jobs (id),
    number   BIGINT NOT NULL,
    name     TEXT   NOT NULL,
    received BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (job_id, number)
);
