-- What is asked for is young, however much was recovered before: so it is found by when it happened.
DROP INDEX recoveries_due;
CREATE INDEX recoveries_happened ON recoveries (happened) WHERE attempt <> '';
