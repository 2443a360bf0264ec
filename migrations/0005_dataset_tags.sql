-- What people note on datasets.
CREATE TABLE dataset_tag (
    dataset_id TEXT NOT NULL REFERENCES dataset (id),
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 100),
    value TEXT NOT NULL CHECK (length(value) <= 1000),
    PRIMARY KEY (dataset_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX dataset_tag_key ON dataset_tag (key, value);
