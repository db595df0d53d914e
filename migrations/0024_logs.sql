-- A log's parts are found by where they are and by which lines they have, without a look at what they hold.
CREATE INDEX log_chunks_by_place ON log_chunks (job_id, start, length, line, newlines, place, size);
CREATE INDEX log_chunks_by_line ON log_chunks (job_id, line, start);
