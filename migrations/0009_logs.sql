-- Logs: how long one may become, what was not taken of it, what its agent keeps back, and what it was found to be.
ALTER TABLE jobs ADD COLUMN log_limit BIGINT;
-- 1 if parts were refused, because the log was over its limit
ALTER TABLE jobs ADD COLUMN log_over BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN log_held TEXT;
ALTER TABLE jobs ADD COLUMN log_check TEXT;
-- what is still to be sealed, without a look at what was
CREATE INDEX jobs_unsealed ON jobs (id) WHERE phase = 'ended' AND log_check IS NULL AND log_length > 0;
