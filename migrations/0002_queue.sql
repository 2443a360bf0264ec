-- What the queue decides by: terms of jobs, what attempts hold beside whole GPUs, projects, and GPUs out of use.

-- What of a job's resources, terms and retry policy has no column of its own; NULL for jobs from before.
ALTER TABLE job ADD COLUMN policy TEXT CHECK (policy IS NULL OR json_valid(policy) AND policy GLOB '{*');
-- 1 while a user, or the spec, keeps the job from starting.
ALTER TABLE job ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));
-- What the micro-batch of the next attempt is divided by; above 1 after one ran out of GPU memory.
ALTER TABLE job ADD COLUMN micro_batch_divisor INTEGER NOT NULL DEFAULT 1 CHECK (micro_batch_divisor >= 1);

-- The part of a GPU and the counters that an attempt was given; NULL where it was given neither.
ALTER TABLE attempt ADD COLUMN allocation TEXT CHECK (allocation IS NULL OR json_valid(allocation) AND allocation GLOB '{*');
-- What tells of the cause of its end.
ALTER TABLE attempt ADD COLUMN evidence TEXT CHECK (evidence IS NULL OR json_valid(evidence) AND evidence GLOB '[[]*');

CREATE TABLE project (
    name TEXT PRIMARY KEY NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    weight REAL NOT NULL DEFAULT 1 CHECK (weight > 0),
    -- The most GPUs that its jobs may hold at a time; NULL for no limit.
    gpu_limit INTEGER CHECK (gpu_limit >= 0),
    -- Decayed GPU-seconds, as they were at usage_at_ms.
    usage_gpu_seconds REAL NOT NULL DEFAULT 0 CHECK (usage_gpu_seconds >= 0),
    usage_at_ms INTEGER NOT NULL DEFAULT 0 CHECK (usage_at_ms >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE gpu_state (
    uuid TEXT PRIMARY KEY NOT NULL CHECK (length(uuid) > 0),
    drained INTEGER NOT NULL CHECK (drained IN (0, 1)),
    reason TEXT,
    since_ms INTEGER NOT NULL CHECK (since_ms >= 0)
) STRICT, WITHOUT ROWID;
