-- Curves as columns: points wait in batches as they came, and are packed into chunks of up to 4,096 per series.

-- The rows of before; the daemon packs them when it opens the database, and drops the table.
ALTER TABLE metric RENAME TO metric_row;
-- Points were told of in events too; they have a place of their own now.
DELETE FROM event WHERE type = 'metric';

-- One key of one attempt from one source. What the columns sum up is what its chunks hold.
CREATE TABLE metric_series (
    id INTEGER PRIMARY KEY,
    attempt_ordinal INTEGER NOT NULL REFERENCES attempt (ordinal),
    key_id INTEGER NOT NULL REFERENCES metric_key (id),
    -- 0 metrics.jsonl and the native API, 1 MLflow, 2 trackio, 3 TensorBoard, 4 lines of a log: the lower, the better.
    source INTEGER NOT NULL CHECK (source BETWEEN 0 AND 9),
    count INTEGER NOT NULL CHECK (count >= 0),
    first_step INTEGER,
    last_step INTEGER,
    last_at_ms INTEGER,
    last_value REAL,
    -- NULL where there is none that is a number.
    min REAL,
    max REAL,
    UNIQUE (attempt_ordinal, key_id, source)
) STRICT;

-- The chunks of a series do not overlap.
CREATE TABLE metric_chunk (
    id INTEGER PRIMARY KEY,
    series_id INTEGER NOT NULL REFERENCES metric_series (id),
    first_step INTEGER NOT NULL,
    first_at_ms INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    last_at_ms INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    -- Least, greatest and mean of each 256 points.
    summary BLOB NOT NULL,
    -- NULL once the points themselves have been let go.
    data BLOB
) STRICT;

CREATE UNIQUE INDEX metric_chunk_place ON metric_chunk (series_id, first_step, first_at_ms);

-- Points as they came. Its numbers and those of `event` are one sequence, which streams resume from.
CREATE TABLE metric_batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt_ordinal INTEGER NOT NULL REFERENCES attempt (ordinal),
    at_ms INTEGER NOT NULL CHECK (at_ms >= 0),
    count INTEGER NOT NULL CHECK (count > 0),
    -- Whether streams tell of it: not of points that a better source has told of already.
    is_told INTEGER NOT NULL CHECK (is_told IN (0, 1)),
    data BLOB NOT NULL
) STRICT;

CREATE INDEX metric_batch_attempt ON metric_batch (attempt_ordinal, seq);

-- Per attempt: batches up to `packed_seq` are in chunks too, and those up to `dropped_seq` are gone.
CREATE TABLE metric_attempt (
    attempt_ordinal INTEGER PRIMARY KEY REFERENCES attempt (ordinal),
    packed_seq INTEGER NOT NULL,
    dropped_seq INTEGER NOT NULL,
    -- Values that could not be taken.
    dropped_points INTEGER NOT NULL DEFAULT 0 CHECK (dropped_points >= 0),
    -- What retention has left of curves, and of readings of devices: 0 all points, 1 the summaries of blocks, 2 nothing.
    curve_tier INTEGER NOT NULL DEFAULT 0 CHECK (curve_tier BETWEEN 0 AND 2),
    device_tier INTEGER NOT NULL DEFAULT 0 CHECK (device_tier BETWEEN 0 AND 2)
) STRICT;

-- Identifiers that clients gave to what they sent, so that a repeated request changes nothing.
CREATE TABLE metric_client_id (
    attempt_ordinal INTEGER NOT NULL REFERENCES attempt (ordinal),
    id TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 100),
    PRIMARY KEY (attempt_ordinal, id)
) STRICT, WITHOUT ROWID;
