-- What starts flows besides what happens on a forge: as their files at the newest commits of branches say.
CREATE TABLE starters (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    branch        TEXT   NOT NULL,
    -- the flow's file, its name and its uri
    path          TEXT   NOT NULL,
    flow          TEXT   NOT NULL,
    uri           TEXT   NOT NULL,
    -- schedule, manual or flow; and what makes it one of its kind
    kind          TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    starter       TEXT   NOT NULL,
    -- the commit that the file is of, and the one that stood there before
    sha           TEXT   NOT NULL,
    before        TEXT   NOT NULL,
    -- when a schedule comes next
    due           BIGINT,
    PRIMARY KEY (repository_id, branch, path, kind, name)
);
CREATE INDEX starters_due ON starters (due) WHERE due IS NOT NULL;
CREATE INDEX starters_followed ON starters (name) WHERE kind = 'flow';
