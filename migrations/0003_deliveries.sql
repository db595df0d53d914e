-- A replay is a delivery of its own, with the headers and the body of the delivery that it names here: the original,
-- for a replay of a replay repeats that, too.
ALTER TABLE deliveries ADD COLUMN replays BIGINT REFERENCES deliveries (id);
-- whose event it is, once somebody has read that
ALTER TABLE deliveries ADD COLUMN repository TEXT;

CREATE INDEX deliveries_replays ON deliveries (replays, id) WHERE replays IS NOT NULL;
CREATE INDEX deliveries_repository ON deliveries (repository, id) WHERE repository IS NOT NULL;
-- for lists of one state, newest first
CREATE INDEX deliveries_phase ON deliveries (phase, id);
CREATE INDEX runs_delivery ON runs (delivery_id) WHERE delivery_id IS NOT NULL;
