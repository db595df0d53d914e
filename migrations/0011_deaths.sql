-- When an attempt's containers were first seen to run, if no agent was heard before: an agent that never comes is missed.
ALTER TABLE attempts ADD COLUMN ran BIGINT;
