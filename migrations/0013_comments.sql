-- Comments that told us to do something, and are to be answered.
CREATE TABLE replies (
    delivery_id BIGINT NOT NULL PRIMARY KEY REFERENCES deliveries (id),
    -- where the comment is, JSON
    place       TEXT   NOT NULL,
    -- why something was not done; empty if all of it was
    words       TEXT   NOT NULL,
    due         BIGINT NOT NULL,
    tries       BIGINT NOT NULL
);
CREATE INDEX replies_due ON replies (due);
