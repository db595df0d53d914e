-- What a re-run repeats of the run in `rerun_of`, with which flow file, and who asked: JSON; NULL for a first run.
ALTER TABLE runs ADD COLUMN repeats TEXT;
-- The action of an earlier run whose end, outputs and logs stand here: this one never ran itself.
ALTER TABLE actions ADD COLUMN carried_from BIGINT REFERENCES actions (id);
