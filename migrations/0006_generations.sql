-- What is there of the generations of jobs: followed from the journals of their attempts, whose ledgers hold the texts.

-- One pass over (a chunk of) the records with one seed. A job has one chunk, so a seed tells its passes apart.
CREATE TABLE generation_pass (
    id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    seed INTEGER NOT NULL CHECK (seed >= 0),
    chunk INTEGER NOT NULL CHECK (chunk >= 0),
    chunks INTEGER NOT NULL CHECK (chunks > chunk),
    -- The place of the pass's first record in the data; positions below count from there.
    first INTEGER NOT NULL CHECK (first >= 0),
    total INTEGER NOT NULL CHECK (total >= 0),
    -- Equal where equal records get equal requests: a later job takes such records over.
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) > 0),
    done INTEGER NOT NULL DEFAULT 0 CHECK (done BETWEEN 0 AND total),
    failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    -- Of the done ones, how many were taken over from an earlier job.
    reused INTEGER NOT NULL DEFAULT 0 CHECK (reused >= 0),
    -- Tokens of the records whose lines were followed, and why these ended.
    tokens INTEGER NOT NULL DEFAULT 0 CHECK (tokens >= 0),
    stopped INTEGER NOT NULL DEFAULT 0 CHECK (stopped >= 0),
    truncated INTEGER NOT NULL DEFAULT 0 CHECK (truncated >= 0),
    called INTEGER NOT NULL DEFAULT 0 CHECK (called >= 0),
    otherwise INTEGER NOT NULL DEFAULT 0 CHECK (otherwise >= 0),
    -- Of the first and of the newest record.
    first_at_ms INTEGER CHECK (first_at_ms >= 0),
    last_at_ms INTEGER CHECK (last_at_ms >= 0),
    UNIQUE (job_id, seed)
) STRICT;

CREATE INDEX generation_pass_fingerprint ON generation_pass (fingerprint, seed);

-- Which records are there. A segment covers 32,768 positions from `number` × 32,768 on; bit p % 8 (1 << (p % 8)) of byte p / 8
-- stands for the p-th of them. Zero bytes at the end are left out, segments without any record too.
CREATE TABLE generation_segment (
    pass_id INTEGER NOT NULL REFERENCES generation_pass (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 0),
    bits BLOB NOT NULL CHECK (length(bits) BETWEEN 1 AND 4096),
    PRIMARY KEY (pass_id, number)
) STRICT, WITHOUT ROWID;

-- Records that were given up and have not come since.
CREATE TABLE generation_failure (
    pass_id INTEGER NOT NULL REFERENCES generation_pass (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    cause TEXT NOT NULL CHECK (length(cause) > 0),
    message TEXT NOT NULL,
    -- Requests in all attempts.
    tries INTEGER NOT NULL CHECK (tries >= 0),
    last_at_ms INTEGER NOT NULL CHECK (last_at_ms >= 0),
    PRIMARY KEY (pass_id, position)
) STRICT, WITHOUT ROWID;
