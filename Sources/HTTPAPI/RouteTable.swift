/// Every operation of the API, in the order of the contract.
public enum RouteTable {
    private static let page = ["limit", "after"]

    public static let routes: [Route] = native + MLflowRoutes.routes + MLflowArtifacts.routes + TrackioRoutes.routes

    private static let native: [Route] = [
        Route(.get, "/", "getIndex", access: .open, bound: .shared, anyQuery: true, task: DashboardRoutes.index),
        Route(.get, "/assets/{file}", "getAsset", access: .open, bound: .shared, anyQuery: true, task: DashboardRoutes.asset),
        Route(.get, "/healthz", "getHealth", access: .open, bound: .shared, task: ContractRoutes.health),
        Route(.get, "/openapi.yaml", "getContract", access: .open, bound: .shared, task: ContractRoutes.contract),
        Route(.get, "/metrics", "getPrometheusMetrics", access: .read, bound: .unlimited, task: ContractRoutes.prometheus),

        Route(
            .post, "/v1/experiments", "submitExperiment", access: .submit, bound: .filtered, query: ["dry_run", "set", "base_directory"],
            task: ExperimentRoutes.submit),
        Route(
            .get, "/v1/experiments", "listExperiments", access: .read, bound: .filtered, query: page + ["state", "project", "name"],
            task: ExperimentRoutes.list),
        Route(
            .get, "/v1/experiments/{experiment_id}", "getExperiment", access: .read, bound: .experiment, query: ["wait"],
            task: ExperimentRoutes.get),
        Route(
            .post, "/v1/experiments/{experiment_id}/cancel", "cancelExperiment", access: .submit, bound: .experiment,
            task: ExperimentRoutes.cancel),
        Route(
            .post, "/v1/experiments/{experiment_id}/retry", "retryExperiment", access: .submit, bound: .experiment,
            task: ExperimentRoutes.retry),

        Route(
            .get, "/v1/experiments/{experiment_id}/export", "exportExperiment", access: .read, bound: .experiment,
            query: ["artifacts", "checkpoints"], direct: TransferRoutes.export),
        Route(
            .post, "/v1/experiments/import", "importExperiment", access: .submit, bound: .filtered, query: ["project", "copy"],
            direct: TransferRoutes.import),

        Route(
            .get, "/v1/jobs", "listJobs", access: .read, bound: .filtered, named: ["experiment": .experiment],
            query: page + ["state", "kind", "experiment"], task: JobRoutes.list),
        Route(.get, "/v1/jobs/{job_id}", "getJob", access: .read, bound: .job, query: ["wait"], task: JobRoutes.get),
        Route(.patch, "/v1/jobs/{job_id}", "updateJob", access: .submit, bound: .job, task: JobRoutes.update),
        Route(.post, "/v1/jobs/{job_id}/cancel", "cancelJob", access: .submit, bound: .job, task: JobRoutes.cancel),
        Route(.post, "/v1/jobs/{job_id}/retry", "retryJob", access: .submit, bound: .job, task: JobRoutes.retry),
        Route(.post, "/v1/jobs/{job_id}/pause", "pauseJob", access: .submit, bound: .job, task: JobRoutes.pause),
        Route(.post, "/v1/jobs/{job_id}/resume", "resumeJob", access: .submit, bound: .job, task: JobRoutes.resume),
        Route(.post, "/v1/jobs/{job_id}/hold", "holdJob", access: .submit, bound: .job, task: JobRoutes.hold),
        Route(.post, "/v1/jobs/{job_id}/release", "releaseJob", access: .submit, bound: .job, task: JobRoutes.release),
        Route(.get, "/v1/jobs/{job_id}/explain", "explainJob", access: .read, bound: .job, task: JobRoutes.explain),
        Route(
            .get, "/v1/jobs/{job_id}/logs", "getJobLogs", access: .read, bound: .job,
            query: ["stream", "offset", "tail", "follow", "attempt"], direct: LogRoutes.get),
        Route(.get, "/v1/jobs/{job_id}/generations", "getJobGenerations", access: .read, bound: .job, task: GenerationRoutes.get),
        Route(
            .get, "/v1/jobs/{job_id}/generations/failures", "listGenerationFailures", access: .read, bound: .job, query: page,
            task: GenerationRoutes.failures),
        Route(
            .get, "/v1/jobs/{job_id}/generations/samples", "getGenerationSamples", access: .read, bound: .job,
            query: ["count", "seed", "random_seed"],
            task: GenerationRoutes.samples),
        Route(
            .get, "/v1/jobs/{job_id}/rollouts", "getJobRollouts", access: .read, bound: .job, query: ["step", "order", "limit"],
            task: RolloutRoutes.get),
        Route(
            .get, "/v1/jobs/{job_id}/metrics", "getJobMetrics", access: .read, bound: .job, query: MetricRoutes.selection,
            task: MetricRoutes.job),
        Route(.post, "/v1/jobs/{job_id}/metrics", "logJobMetrics", access: .log, bound: .run, task: MetricRoutes.log),
        Route(
            .delete, "/v1/jobs/{job_id}/metrics", "deleteJobMetrics", access: .submit, bound: .job, query: ["key", "attempt"],
            task: MetricRoutes.delete),
        Route(
            .get, "/v1/metrics", "getMetrics", access: .read, bound: .filtered, named: ["job": .job, "experiment": .experiment],
            query: ["job", "experiment"] + MetricRoutes.selection, lists: ["job", "key"],
            task: MetricRoutes.list),

        Route(
            .get, "/v1/stream", "streamEvents", access: .read, bound: .filtered, named: ["job": .job, "experiment": .experiment],
            query: ["experiment", "job", "types", "key", "after"], direct: StreamRoutes.get),
        Route(.get, "/v1/gpus", "listGPUs", access: .read, bound: .filtered, task: MachineRoutes.gpus),
        Route(
            .get, "/v1/gpus/metrics", "getGPUMetrics", access: .read, bound: .shared, query: ["seconds"], task: MachineRoutes.deviceHistory),
        Route(.get, "/v1/clusters", "listClusters", access: .read, bound: .filtered, task: MachineRoutes.clusters),
        Route(.get, "/v1/usage", "getUsage", access: .read, bound: .unlimited, query: ["by", "since"], task: MachineRoutes.usage),
        Route(.post, "/v1/gpus/{gpu}/drain", "drainGPU", access: .admin, bound: .unlimited, task: MachineRoutes.drain),
        Route(.post, "/v1/gpus/{gpu}/undrain", "undrainGPU", access: .admin, bound: .unlimited, task: MachineRoutes.undrain),
        Route(.post, "/v1/webhooks", "createWebhook", access: .admin, bound: .unlimited, task: WebhookRoutes.create),
        Route(.get, "/v1/webhooks", "listWebhooks", access: .admin, bound: .unlimited, task: WebhookRoutes.list),
        Route(.delete, "/v1/webhooks/{webhook_id}", "deleteWebhook", access: .admin, bound: .unlimited, task: WebhookRoutes.delete),
        Route(.post, "/v1/webhooks/{webhook_id}/ping", "pingWebhook", access: .admin, bound: .unlimited, task: WebhookRoutes.ping),
        Route(
            .get, "/v1/webhooks/{webhook_id}/deliveries", "listDeliveries", access: .admin, bound: .unlimited, query: page,
            task: WebhookRoutes.deliveries),
        Route(
            .post, "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", "replayDelivery", access: .admin, bound: .unlimited,
            task: WebhookRoutes.replay
        ),
        Route(.get, "/v1/projects", "listProjects", access: .read, bound: .filtered, task: ProjectRoutes.list),
        Route(.get, "/v1/projects/{project}", "getProject", access: .read, bound: .project, task: ProjectRoutes.get),
        Route(.patch, "/v1/projects/{project}", "updateProject", access: .admin, bound: .unlimited, task: ProjectRoutes.update),
        Route(.post, "/v1/tokens", "createToken", access: .admin, bound: .unlimited, task: AccessRoutes.createToken),
        Route(.get, "/v1/tokens", "listTokens", access: .admin, bound: .unlimited, task: AccessRoutes.listTokens),
        Route(.delete, "/v1/tokens/{token}", "revokeToken", access: .admin, bound: .unlimited, task: AccessRoutes.revokeToken),
        Route(.post, "/v1/backup", "startBackup", access: .admin, bound: .unlimited, task: OperationRoutes.startBackup),
        Route(.get, "/v1/backup", "getBackup", access: .admin, bound: .unlimited, task: OperationRoutes.backup),
        Route(.delete, "/v1/backup", "cancelBackup", access: .admin, bound: .unlimited, task: OperationRoutes.cancelBackup),
        Route(.get, "/v1/gc", "getGarbage", access: .admin, bound: .unlimited, task: OperationRoutes.garbage),
        Route(.post, "/v1/gc", "collectGarbage", access: .admin, bound: .unlimited, task: OperationRoutes.collectGarbage),
        Route(
            .get, "/v1/audit", "listAudit", access: .admin, bound: .unlimited, query: page + ["actor", "operation", "since"],
            task: AccessRoutes.audit),
        Route(.get, "/v1/queue", "getQueue", access: .read, bound: .filtered, query: page, task: MachineRoutes.queue),
        Route(.get, "/v1/doctor", "getDoctor", access: .read, bound: .unlimited, query: ["deep"], task: MachineRoutes.doctor),

        Route(
            .post, "/v1/datasets", "uploadDataset", access: .submit, bound: .filtered, query: ["name", "format"],
            direct: DatasetRoutes.upload),
        Route(
            .get, "/v1/datasets", "listDatasets", access: .read, bound: .filtered, query: page + ["name", "tag"], task: DatasetRoutes.list),
        Route(
            .get, "/v1/datasets/diff", "diffDatasets", access: .read, bound: .filtered, named: ["from": .dataset, "to": .dataset],
            query: ["from", "to", "samples"], task: DatasetRoutes.diff),
        Route(.get, "/v1/datasets/{dataset}", "getDataset", access: .read, bound: .dataset, task: DatasetRoutes.get),
        Route(.patch, "/v1/datasets/{dataset}", "tagDataset", access: .submit, bound: .changedDataset, task: DatasetRoutes.update),
        Route(
            .get, "/v1/datasets/{dataset}/inspect", "inspectDataset", access: .read, bound: .dataset, query: ["samples"],
            task: DatasetRoutes.inspect),
        Route(
            .delete, "/v1/datasets/{dataset}", "deleteDataset", access: .submit, bound: .changedDataset, query: ["force"],
            task: DatasetRoutes.delete),
        Route(.get, "/v1/datasets/{dataset}/content", "getDatasetContent", access: .read, bound: .dataset, direct: DatasetRoutes.content),

        Route(
            .get, "/v1/checkpoints", "listCheckpoints", access: .read, bound: .filtered, named: ["job": .job], query: page + ["job"],
            task: CheckpointRoutes.list),
        Route(.get, "/v1/checkpoints/{checkpoint_id}", "getCheckpoint", access: .read, bound: .checkpoint, task: CheckpointRoutes.get),
        Route(
            .post, "/v1/checkpoints/{checkpoint_id}/pin", "pinCheckpoint", access: .submit, bound: .checkpoint, task: CheckpointRoutes.pin),
        Route(
            .post, "/v1/checkpoints/{checkpoint_id}/unpin", "unpinCheckpoint", access: .submit, bound: .checkpoint,
            task: CheckpointRoutes.unpin),
        Route(
            .delete, "/v1/checkpoints/{checkpoint_id}", "deleteCheckpoint", access: .submit, bound: .checkpoint,
            task: CheckpointRoutes.delete),

        Route(
            .get, "/v1/evaluations", "listEvaluations", access: .read, bound: .filtered, named: ["job": .job, "experiment": .experiment],
            query: page + ["job", "experiment"], task: EvaluationRoutes.list),
        Route(
            .get, "/v1/evaluations/compare", "compareEvaluations", access: .read, bound: .filtered,
            named: ["base": .evaluation, "candidate": .evaluation], query: ["base", "candidate"], task: EvaluationRoutes.compare),
        Route(
            .get, "/v1/evaluations/compare/items", "compareEvaluationItems", access: .read, bound: .filtered,
            named: ["base": .evaluation, "candidate": .evaluation], query: page + ["base", "candidate", "benchmark"],
            task: EvaluationRoutes.flippedItems),
        Route(.get, "/v1/evaluations/{evaluation_id}", "getEvaluation", access: .read, bound: .evaluation, task: EvaluationRoutes.get),
        Route(
            .get, "/v1/evaluations/{evaluation_id}/report", "getEvaluationReport", access: .read, bound: .evaluation, query: ["format"],
            task: EvaluationRoutes.report),
        Route(
            .get, "/v1/evaluations/{evaluation_id}/items", "getEvaluationItems", access: .read, bound: .evaluation,
            query: page + ["benchmark", "wrong"],
            task: EvaluationRoutes.items),

        Route(.get, "/v1/lineage/{id}", "getLineage", access: .read, bound: .artifact, task: MachineRoutes.lineage),
    ]
}
