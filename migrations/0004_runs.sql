-- What tracking clients (MLflow's, trackio's) say of the jobs that they run in.

-- Runs that a job's program makes beside the job's own, whose identifier is the job's.
CREATE TABLE tracked_run (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'run_[0-9a-z]*'),
    job_id TEXT NOT NULL REFERENCES job (id),
    name TEXT NOT NULL CHECK (length(name) > 0),
    -- Stands before the run's keys among those of the job.
    prefix TEXT NOT NULL,
    user_name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED')),
    started_at_ms INTEGER NOT NULL CHECK (started_at_ms >= 0),
    ended_at_ms INTEGER CHECK (ended_at_ms >= 0),
    deleted_at_ms INTEGER CHECK (deleted_at_ms >= 0)
) STRICT;

CREATE INDEX tracked_run_job ON tracked_run (job_id, id);

-- `run_id` is a job's or a tracked run's.
CREATE TABLE run_param (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 250),
    value TEXT NOT NULL CHECK (length(value) <= 6000),
    -- The attempt that said so: a later one may say something else.
    attempt INTEGER NOT NULL CHECK (attempt >= 0),
    PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_tag (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 250),
    value TEXT NOT NULL CHECK (length(value) <= 8000),
    PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;

-- Datasets that a run read, as its client described them.
CREATE TABLE run_input (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 500),
    digest TEXT NOT NULL,
    document TEXT NOT NULL CHECK (json_valid(document) AND document GLOB '{*'),
    PRIMARY KEY (run_id, name, digest)
) STRICT, WITHOUT ROWID;
