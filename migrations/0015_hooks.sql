-- How the webhooks of repositories are, as their forges say.
CREATE TABLE hooks (
    repository_id BIGINT NOT NULL PRIMARY KEY REFERENCES repositories (id),
    -- when that was looked at last
    looked        BIGINT NOT NULL,
    -- what the forge said then, and since when it says so; JSON
    seen          TEXT   NOT NULL,
    since         BIGINT NOT NULL,
    -- what is to be said of it, JSON: the forge's word, but for what deliveries prove
    state         TEXT   NOT NULL
);
