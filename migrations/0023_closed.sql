-- Pull requests that are open no longer, by the newest delivery that said so: what an older one brings late waits for
-- nobody.
CREATE TABLE closed_pulls (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    line          TEXT   NOT NULL,
    delivery_id   BIGINT NOT NULL,
    PRIMARY KEY (repository_id, line)
);
