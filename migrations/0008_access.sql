-- Who may call the daemon, what was done through it, and what projects may use.

CREATE TABLE api_token (
    id TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'tok_*'),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- SHA-256 of the token in hexadecimal; the token itself is kept nowhere.
    hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
    scope TEXT NOT NULL CHECK (scope IN ('read', 'submit', 'admin')),
    -- Names of projects; NULL for all.
    projects TEXT CHECK (projects IS NULL OR json_valid(projects) AND projects GLOB '[[]*'),
    created_by TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    expires_at_ms INTEGER CHECK (expires_at_ms >= 0),
    last_used_at_ms INTEGER CHECK (last_used_at_ms >= 0),
    revoked_at_ms INTEGER CHECK (revoked_at_ms >= 0)
) STRICT, WITHOUT ROWID;

-- A name is free again once its token is revoked.
CREATE UNIQUE INDEX api_token_name ON api_token (name) WHERE revoked_at_ms IS NULL;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    -- Of the first of the requests that this row stands for, and of the last.
    at_ms INTEGER NOT NULL CHECK (at_ms >= 0),
    last_at_ms INTEGER NOT NULL CHECK (last_at_ms >= at_ms),
    count INTEGER NOT NULL CHECK (count >= 1),
    actor_kind TEXT NOT NULL CHECK (length(actor_kind) > 0),
    -- The token's name, the attempt, or the user of the socket.
    actor TEXT,
    address TEXT,
    operation TEXT NOT NULL CHECK (length(operation) > 0),
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    -- What the request named in its path.
    targets TEXT NOT NULL CHECK (json_valid(targets) AND targets GLOB '[[]*'),
    status INTEGER NOT NULL CHECK (status BETWEEN 100 AND 599)
) STRICT;

CREATE INDEX audit_at ON audit (at_ms);

-- NULL for no limit.
ALTER TABLE project ADD COLUMN queued_limit INTEGER CHECK (queued_limit >= 0);
ALTER TABLE project ADD COLUMN running_limit INTEGER CHECK (running_limit >= 0);
ALTER TABLE project ADD COLUMN artifact_bytes_limit INTEGER CHECK (artifact_bytes_limit >= 0);
