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

-- The time for which attempts held GPUs, and that in which these did nothing.
CREATE TABLE gpu_account (
    attempt_ordinal INTEGER PRIMARY KEY REFERENCES attempt (ordinal),
    gpu_seconds REAL NOT NULL CHECK (gpu_seconds >= 0),
    idle_seconds REAL NOT NULL CHECK (idle_seconds >= 0)
) STRICT;

-- Where webhooks go, as the API made them.
CREATE TABLE webhook (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'hook_[0-9a-z]*'),
    url TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    -- Signs what is sent (Standard Webhooks); known to the receiver alone.
    secret TEXT NOT NULL,
    -- Types of events, as a JSON array.
    types TEXT NOT NULL CHECK (json_valid(types) AND types GLOB '[[]*'),
    project TEXT,
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    deleted_at_ms INTEGER CHECK (deleted_at_ms >= 0)
) STRICT;

-- What is to be sent, written in the transaction of the event that it tells of.
CREATE TABLE webhook_delivery (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'msg_[0-9a-z]*'),
    webhook_id TEXT NOT NULL REFERENCES webhook (id),
    event_seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    tries INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
    next_at_ms INTEGER NOT NULL CHECK (next_at_ms >= 0),
    status INTEGER,
    message TEXT,
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0)
) STRICT;

CREATE INDEX webhook_delivery_due ON webhook_delivery (next_at_ms) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_webhook ON webhook_delivery (webhook_id, id);
