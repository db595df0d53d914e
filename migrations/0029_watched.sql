-- What whoever watches the service needs.

-- What is written only to see whether something can be.

CREATE TABLE pulses (
    name TEXT   PRIMARY KEY,
    at   BIGINT NOT NULL
);

-- Runs that have ended and whose traces are still to be sent.
CREATE TABLE traces (
    run_id BIGINT PRIMARY KEY REFERENCES runs (id),
    due    BIGINT NOT NULL,
    tries  BIGINT NOT NULL
);
CREATE INDEX traces_due ON traces (due);
