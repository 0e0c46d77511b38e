-- Attempts that nobody ever heard of again: their owner died. They are no failures of the step, but not without bound.
ALTER TABLE cell.orchestration_steps ADD COLUMN deaths integer NOT NULL DEFAULT 0;
