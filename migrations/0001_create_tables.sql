-- The first schema.
--
-- Conventions: identifiers are text with a prefix, sortable by the time at which they were made; `*_at_ms` are
-- milliseconds since 1970-01-01T00:00:00Z; JSON columns hold valid JSON; a row is terminal exactly when it has a time
-- of its end. Each index serves a query that Sources/Store makes.

CREATE TABLE experiment (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'exp_[0-9a-z]*'),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    project TEXT NOT NULL CHECK (length(project) BETWEEN 1 AND 100),
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')),
    reason TEXT,
    message TEXT,
    description TEXT,
    tags TEXT NOT NULL CHECK (json_valid(tags) AND tags GLOB '{*'),
    -- The document after overrides, as JSON.
    spec TEXT NOT NULL CHECK (json_valid(spec) AND spec GLOB '{*'),
    -- The document as it was sent.
    document TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    finished_at_ms INTEGER CHECK (finished_at_ms >= 0),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL))
) STRICT;

-- A name is unique in its project while the experiment is active.
CREATE UNIQUE INDEX experiment_active_name ON experiment (project, name) WHERE finished_at_ms IS NULL;
CREATE INDEX experiment_name ON experiment (project, name, id);
CREATE INDEX experiment_state ON experiment (state, id);

CREATE TABLE job (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'job_[0-9a-z]*'),
    experiment_id TEXT NOT NULL REFERENCES experiment (id),
    -- The place of the job in its experiment, from 0.
    position INTEGER NOT NULL CHECK (position >= 0),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    kind TEXT NOT NULL CHECK (kind IN ('command', 'prepare', 'train', 'generate', 'evaluate', 'serve', 'convert', 'search')),
    engine TEXT,
    job_group TEXT,
    matrix TEXT CHECK (matrix IS NULL OR json_valid(matrix) AND matrix GLOB '{*'),
    state TEXT NOT NULL CHECK (
        state IN (
            'waiting', 'queued', 'starting', 'running', 'stopping', 'paused', 'succeeded', 'failed', 'cancelled', 'skipped', 'lost'
        )
    ),
    reason TEXT,
    message TEXT,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 100),
    gpus INTEGER NOT NULL CHECK (gpus >= 0),
    cpus INTEGER NOT NULL CHECK (cpus >= 0),
    memory_bytes INTEGER NOT NULL CHECK (memory_bytes >= 0),
    timeout_ms INTEGER CHECK (timeout_ms > 0),
    grace_ms INTEGER CHECK (grace_ms >= 0),
    retry_limit INTEGER NOT NULL CHECK (retry_limit >= 0),
    retry_delay_ms INTEGER NOT NULL CHECK (retry_delay_ms >= 0),
    retry_backoff REAL NOT NULL CHECK (retry_backoff >= 0),
    cache_enabled INTEGER NOT NULL CHECK (cache_enabled IN (0, 1)),
    environment TEXT NOT NULL CHECK (json_valid(environment) AND environment GLOB '{*'),
    working_directory TEXT,
    -- The job's body from the document, matrix values and overrides filled in.
    spec TEXT NOT NULL CHECK (json_valid(spec) AND spec GLOB '{*'),
    -- The text of `if`.
    condition TEXT,
    -- The end of a retry's delay.
    not_before_ms INTEGER CHECK (not_before_ms >= 0),
    -- Attempts that failed since the job was submitted or last retried by a user.
    failures INTEGER NOT NULL CHECK (failures >= 0),
    cache_key TEXT CHECK (length(cache_key) > 0),
    -- The job whose outputs stand in for this one's.
    cached_from TEXT REFERENCES job (id),
    outputs TEXT CHECK (outputs IS NULL OR json_valid(outputs) AND outputs GLOB '{*'),
    summary TEXT CHECK (summary IS NULL OR json_valid(summary) AND summary GLOB '{*'),
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    queued_at_ms INTEGER CHECK (queued_at_ms >= 0),
    started_at_ms INTEGER CHECK (started_at_ms >= 0),
    finished_at_ms INTEGER CHECK (finished_at_ms >= 0),
    UNIQUE (experiment_id, position),
    UNIQUE (experiment_id, name),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled', 'skipped', 'lost')) = (finished_at_ms IS NOT NULL)),
    CHECK (cached_from IS NULL OR state = 'succeeded')
) STRICT;

CREATE INDEX job_experiment_state ON job (experiment_id, state);
CREATE INDEX job_state ON job (state, id);
CREATE INDEX job_kind ON job (kind, id);
CREATE INDEX job_active ON job (id) WHERE finished_at_ms IS NULL;
-- A cached job is no source for the cache: it has a copy of the outputs, not the files' story.
CREATE INDEX job_cache_key ON job (cache_key, finished_at_ms) WHERE state = 'succeeded' AND cached_from IS NULL;
CREATE INDEX job_cached_from ON job (cached_from) WHERE cached_from IS NOT NULL;

CREATE TABLE job_need (
    job_id TEXT NOT NULL REFERENCES job (id),
    need_id TEXT NOT NULL REFERENCES job (id),
    PRIMARY KEY (job_id, need_id),
    CHECK (job_id <> need_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_need_need ON job_need (need_id, job_id);

-- What a job consumed, by the place in its spec that names it.
CREATE TABLE job_input (
    job_id TEXT NOT NULL REFERENCES job (id),
    pointer TEXT NOT NULL CHECK (pointer = '' OR pointer GLOB '/*'),
    -- Absent for a file that is no registered artifact.
    artifact_id TEXT CHECK (length(artifact_id) > 0),
    artifact_type TEXT NOT NULL CHECK (artifact_type IN ('dataset', 'checkpoint', 'evaluation', 'file')),
    sha256 TEXT CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    path TEXT,
    PRIMARY KEY (job_id, pointer)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_input_artifact ON job_input (artifact_id) WHERE artifact_id IS NOT NULL;

CREATE TABLE attempt (
    -- A small name for the many rows of `metric`.
    ordinal INTEGER PRIMARY KEY,
    id TEXT UNIQUE NOT NULL CHECK (id GLOB 'att_[0-9a-z]*'),
    job_id TEXT NOT NULL REFERENCES job (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    state TEXT NOT NULL CHECK (
        state IN ('starting', 'running', 'stopping', 'succeeded', 'failed', 'cancelled', 'paused', 'lost')
    ),
    exit_code INTEGER,
    signal INTEGER CHECK (signal > 0),
    cause TEXT,
    message TEXT,
    -- UUIDs of the GPUs it was given.
    gpus TEXT NOT NULL CHECK (json_valid(gpus) AND gpus GLOB '[[]*'),
    cpus INTEGER NOT NULL CHECK (cpus >= 0),
    memory_bytes INTEGER NOT NULL CHECK (memory_bytes >= 0),
    directory TEXT NOT NULL CHECK (length(directory) > 0),
    token_hash TEXT UNIQUE CHECK (length(token_hash) > 0),
    -- The step of the checkpoint it continued from; absent where it began anew.
    resumed_from_step INTEGER CHECK (resumed_from_step >= 0),
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    started_at_ms INTEGER CHECK (started_at_ms >= 0),
    finished_at_ms INTEGER CHECK (finished_at_ms >= 0),
    rusage TEXT CHECK (rusage IS NULL OR json_valid(rusage) AND rusage GLOB '{*'),
    UNIQUE (job_id, number),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled', 'paused', 'lost')) = (finished_at_ms IS NOT NULL))
) STRICT;

-- A job never runs twice at once.
CREATE UNIQUE INDEX attempt_live ON attempt (job_id) WHERE finished_at_ms IS NULL;

CREATE TABLE dataset (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'ds_[0-9a-z]*'),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    version INTEGER NOT NULL CHECK (version >= 1),
    -- Of the content at `path`, which datasets of equal content share.
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    rows INTEGER NOT NULL CHECK (rows >= 0),
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    format TEXT NOT NULL CHECK (length(format) > 0),
    path TEXT NOT NULL CHECK (length(path) > 0),
    produced_by TEXT REFERENCES job (id),
    output_name TEXT,
    source TEXT CHECK (source IS NULL OR json_valid(source)),
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    UNIQUE (name, version),
    UNIQUE (name, sha256)
) STRICT;

CREATE INDEX dataset_sha256 ON dataset (sha256);
CREATE INDEX dataset_produced_by ON dataset (produced_by) WHERE produced_by IS NOT NULL;

CREATE TABLE checkpoint (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'ckpt_[0-9a-z]*'),
    job_id TEXT NOT NULL REFERENCES job (id),
    attempt_id TEXT REFERENCES attempt (id),
    kind TEXT NOT NULL CHECK (kind IN ('training', 'model')),
    -- Absent for a model that no training step made.
    step INTEGER CHECK (step >= 0),
    path TEXT NOT NULL CHECK (length(path) > 0),
    -- Of the manifest of the folder's files.
    sha256 TEXT CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    metrics TEXT NOT NULL CHECK (json_valid(metrics) AND metrics GLOB '{*'),
    pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    deleted_at_ms INTEGER CHECK (deleted_at_ms >= 0),
    CHECK (pinned = 0 OR deleted_at_ms IS NULL),
    CHECK (kind <> 'training' OR step IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX checkpoint_path ON checkpoint (path) WHERE deleted_at_ms IS NULL;
CREATE INDEX checkpoint_job ON checkpoint (job_id, id);

CREATE TABLE evaluation (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'eval_[0-9a-z]*'),
    job_id TEXT NOT NULL REFERENCES job (id),
    attempt_id TEXT REFERENCES attempt (id),
    -- The model as the spec or the server names it.
    model TEXT NOT NULL,
    model_artifact_id TEXT,
    path TEXT,
    document TEXT NOT NULL CHECK (json_valid(document) AND document GLOB '{*'),
    compare TEXT CHECK (compare IS NULL OR json_valid(compare)),
    gate TEXT CHECK (gate IS NULL OR json_valid(gate)),
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0)
) STRICT;

CREATE INDEX evaluation_job ON evaluation (job_id, id);
CREATE INDEX evaluation_model ON evaluation (model_artifact_id) WHERE model_artifact_id IS NOT NULL;

CREATE TABLE metric_key (
    id INTEGER PRIMARY KEY,
    key TEXT UNIQUE NOT NULL CHECK (length(key) BETWEEN 1 AND 250)
) STRICT;

CREATE TABLE metric (
    attempt_ordinal INTEGER NOT NULL REFERENCES attempt (ordinal),
    key_id INTEGER NOT NULL REFERENCES metric_key (id),
    step INTEGER NOT NULL CHECK (step >= 0),
    at_ms INTEGER NOT NULL CHECK (at_ms >= 0),
    -- NULL is NaN, which SQLite cannot store; infinities it can.
    value REAL,
    PRIMARY KEY (attempt_ordinal, key_id, step, at_ms)
) STRICT, WITHOUT ROWID;

-- How far an attempt's file was read; moves in the transaction that stores what was read.
CREATE TABLE metric_cursor (
    attempt_id TEXT NOT NULL REFERENCES attempt (id),
    path TEXT NOT NULL CHECK (length(path) > 0),
    inode INTEGER NOT NULL,
    offset INTEGER NOT NULL CHECK (offset >= 0),
    PRIMARY KEY (attempt_id, path)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a sequence number is never given twice, even after old events were deleted.
-- No foreign keys: an event is a fact of its time and may outlive what it tells of.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL CHECK (at_ms >= 0),
    type TEXT NOT NULL CHECK (length(type) BETWEEN 1 AND 50),
    experiment_id TEXT,
    job_id TEXT,
    attempt_id TEXT,
    payload TEXT NOT NULL CHECK (json_valid(payload) AND payload GLOB '{*')
) STRICT;

CREATE INDEX event_experiment ON event (experiment_id, seq) WHERE experiment_id IS NOT NULL;
CREATE INDEX event_job ON event (job_id, seq) WHERE job_id IS NOT NULL;

CREATE TABLE idempotency (
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    -- Method and path.
    route TEXT NOT NULL CHECK (length(route) > 0),
    body_hash TEXT NOT NULL CHECK (length(body_hash) > 0),
    status INTEGER NOT NULL CHECK (status BETWEEN 100 AND 599),
    headers TEXT NOT NULL CHECK (json_valid(headers)),
    body BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    PRIMARY KEY (key, route)
) STRICT;

CREATE INDEX idempotency_created ON idempotency (created_at_ms);

-- Hashes of files that were hashed before and have not changed since.
CREATE TABLE file_hash (
    path TEXT PRIMARY KEY NOT NULL CHECK (length(path) > 0),
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*')
) STRICT;

CREATE TABLE setting (
    key TEXT PRIMARY KEY NOT NULL CHECK (length(key) > 0),
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
