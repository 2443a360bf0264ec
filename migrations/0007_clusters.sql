-- Attempts that run on a cluster.

-- The cluster's name; NULL for attempts of this machine.
ALTER TABLE attempt ADD COLUMN cluster TEXT CHECK (length(cluster) BETWEEN 1 AND 100);
-- The cluster's own name for it, such as Slurm's job id; NULL until the cluster has told it.
ALTER TABLE attempt ADD COLUMN external_id TEXT CHECK (length(external_id) BETWEEN 1 AND 100);
