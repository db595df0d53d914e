-- Reports that converge: what was begun and not heard of, what is read back, and what a forge still takes.

-- 0: the whole run, 1: one action. With a short budget the run comes first
ALTER TABLE reports ADD COLUMN rank BIGINT NOT NULL DEFAULT 1;
-- 1 if what is wanted is the last word
ALTER TABLE reports ADD COLUMN final BIGINT NOT NULL DEFAULT 0;
-- what was acknowledged, in short
ALTER TABLE reports ADD COLUMN told TEXT;
-- calls begun so far, counted before each: some forges take only so many, and an answer to an older one is no news
ALTER TABLE reports ADD COLUMN calls BIGINT NOT NULL DEFAULT 0;
-- when the call that is under way was begun
ALTER TABLE reports ADD COLUMN called_at BIGINT;
-- 1 if nobody knows what became of the last call: the forge is asked before it is told again
ALTER TABLE reports ADD COLUMN doubt BIGINT NOT NULL DEFAULT 0;
-- until when a call that was given up may still be carried out
ALTER TABLE reports ADD COLUMN late_until BIGINT NOT NULL DEFAULT 0;
-- when to read back what the forge shows
ALTER TABLE reports ADD COLUMN look_at BIGINT;
-- how often the forge showed something else than what it had acknowledged of this wish
ALTER TABLE reports ADD COLUMN repairs BIGINT NOT NULL DEFAULT 0;

UPDATE reports SET final = 1 WHERE wanted LIKE '{"progress":{"progress":"done"%';

DROP INDEX reports_due;
CREATE INDEX reports_untold ON reports (due) WHERE wanted_digest <> acknowledged;
CREATE INDEX reports_look ON reports (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX reports_called ON reports (called_at) WHERE called_at IS NOT NULL;
CREATE INDEX reports_open ON reports (repository_id) WHERE final = 0 OR wanted_digest <> acknowledged;

-- Calls that write, by the second they were begun in; the last hour's.
CREATE TABLE report_calls (
    account TEXT   NOT NULL,
    second  BIGINT NOT NULL,
    calls   BIGINT NOT NULL,
    PRIMARY KEY (account, second)
);

-- Whom a forge has asked for patience: until when, and how often in a row.
CREATE TABLE report_accounts (
    account     TEXT   PRIMARY KEY,
    quiet_until BIGINT NOT NULL,
    strikes     BIGINT NOT NULL
);
