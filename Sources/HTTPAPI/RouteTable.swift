/// Every operation of the API, in the order of the contract.
public enum RouteTable {
    private static let page = ["limit", "after"]

    public static let routes: [Route] = native + MLflowRoutes.routes + MLflowArtifacts.routes + TrackioRoutes.routes

    private static let native: [Route] = [
        Route(.get, "/", "getIndex", access: .open, anyQuery: true, task: DashboardRoutes.index),
        Route(.get, "/assets/{file}", "getAsset", access: .open, anyQuery: true, task: DashboardRoutes.asset),
        Route(.get, "/healthz", "getHealth", access: .open, task: ContractRoutes.health),
        Route(.get, "/openapi.yaml", "getContract", access: .open, task: ContractRoutes.contract),
        Route(.get, "/metrics", "getPrometheusMetrics", task: ContractRoutes.prometheus),

        Route(
            .post, "/v1/experiments", "submitExperiment", access: .write, query: ["dry_run", "set", "base_directory"],
            task: ExperimentRoutes.submit),
        Route(.get, "/v1/experiments", "listExperiments", query: page + ["state", "project", "name"], task: ExperimentRoutes.list),
        Route(.get, "/v1/experiments/{experiment_id}", "getExperiment", query: ["wait"], task: ExperimentRoutes.get),
        Route(.post, "/v1/experiments/{experiment_id}/cancel", "cancelExperiment", access: .write, task: ExperimentRoutes.cancel),
        Route(.post, "/v1/experiments/{experiment_id}/retry", "retryExperiment", access: .write, task: ExperimentRoutes.retry),

        Route(.get, "/v1/jobs", "listJobs", query: page + ["state", "kind", "experiment"], task: JobRoutes.list),
        Route(.get, "/v1/jobs/{job_id}", "getJob", query: ["wait"], task: JobRoutes.get),
        Route(.patch, "/v1/jobs/{job_id}", "updateJob", access: .write, task: JobRoutes.update),
        Route(.post, "/v1/jobs/{job_id}/cancel", "cancelJob", access: .write, task: JobRoutes.cancel),
        Route(.post, "/v1/jobs/{job_id}/retry", "retryJob", access: .write, task: JobRoutes.retry),
        Route(.post, "/v1/jobs/{job_id}/pause", "pauseJob", access: .write, task: JobRoutes.pause),
        Route(.post, "/v1/jobs/{job_id}/resume", "resumeJob", access: .write, task: JobRoutes.resume),
        Route(.post, "/v1/jobs/{job_id}/hold", "holdJob", access: .write, task: JobRoutes.hold),
        Route(.post, "/v1/jobs/{job_id}/release", "releaseJob", access: .write, task: JobRoutes.release),
        Route(.get, "/v1/jobs/{job_id}/explain", "explainJob", task: JobRoutes.explain),
        Route(
            .get, "/v1/jobs/{job_id}/logs", "getJobLogs", query: ["stream", "offset", "tail", "follow", "attempt"], direct: LogRoutes.get),
        Route(.get, "/v1/jobs/{job_id}/generations", "getJobGenerations", task: GenerationRoutes.get),
        Route(
            .get, "/v1/jobs/{job_id}/generations/failures", "listGenerationFailures", query: page, task: GenerationRoutes.failures),
        Route(
            .get, "/v1/jobs/{job_id}/generations/samples", "getGenerationSamples", query: ["count", "seed", "random_seed"],
            task: GenerationRoutes.samples),
        Route(.get, "/v1/jobs/{job_id}/rollouts", "getJobRollouts", query: ["step", "order", "limit"], task: RolloutRoutes.get),
        Route(.get, "/v1/jobs/{job_id}/metrics", "getJobMetrics", query: MetricRoutes.selection, task: MetricRoutes.job),
        Route(.post, "/v1/jobs/{job_id}/metrics", "logJobMetrics", access: .attempt, task: MetricRoutes.log),
        Route(
            .delete, "/v1/jobs/{job_id}/metrics", "deleteJobMetrics", access: .write, query: ["key", "attempt"], task: MetricRoutes.delete),
        Route(
            .get, "/v1/metrics", "getMetrics", query: ["job", "experiment"] + MetricRoutes.selection, lists: ["job", "key"],
            task: MetricRoutes.list),

        Route(.get, "/v1/stream", "streamEvents", query: ["experiment", "job", "types", "key", "after"], direct: StreamRoutes.get),
        Route(.get, "/v1/gpus", "listGPUs", task: MachineRoutes.gpus),
        Route(.get, "/v1/gpus/metrics", "getGPUMetrics", query: ["seconds"], task: MachineRoutes.deviceHistory),
        Route(.get, "/v1/usage", "getUsage", query: ["by", "since"], task: MachineRoutes.usage),
        Route(.post, "/v1/gpus/{gpu}/drain", "drainGPU", access: .write, task: MachineRoutes.drain),
        Route(.post, "/v1/gpus/{gpu}/undrain", "undrainGPU", access: .write, task: MachineRoutes.undrain),
        Route(.post, "/v1/webhooks", "createWebhook", access: .write, task: WebhookRoutes.create),
        Route(.get, "/v1/webhooks", "listWebhooks", access: .write, task: WebhookRoutes.list),
        Route(.delete, "/v1/webhooks/{webhook_id}", "deleteWebhook", access: .write, task: WebhookRoutes.delete),
        Route(.post, "/v1/webhooks/{webhook_id}/ping", "pingWebhook", access: .write, task: WebhookRoutes.ping),
        Route(
            .get, "/v1/webhooks/{webhook_id}/deliveries", "listDeliveries", access: .write, query: page, task: WebhookRoutes.deliveries),
        Route(
            .post, "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", "replayDelivery", access: .write, task: WebhookRoutes.replay
        ),
        Route(.get, "/v1/projects", "listProjects", task: ProjectRoutes.list),
        Route(.get, "/v1/projects/{project}", "getProject", task: ProjectRoutes.get),
        Route(.patch, "/v1/projects/{project}", "updateProject", access: .write, task: ProjectRoutes.update),
        Route(.get, "/v1/queue", "getQueue", query: page, task: MachineRoutes.queue),
        Route(.get, "/v1/doctor", "getDoctor", task: MachineRoutes.doctor),

        Route(.post, "/v1/datasets", "uploadDataset", access: .write, query: ["name", "format"], direct: DatasetRoutes.upload),
        Route(.get, "/v1/datasets", "listDatasets", query: page + ["name", "tag"], task: DatasetRoutes.list),
        Route(.get, "/v1/datasets/diff", "diffDatasets", query: ["from", "to", "samples"], task: DatasetRoutes.diff),
        Route(.get, "/v1/datasets/{dataset}", "getDataset", task: DatasetRoutes.get),
        Route(.patch, "/v1/datasets/{dataset}", "tagDataset", access: .write, task: DatasetRoutes.update),
        Route(.get, "/v1/datasets/{dataset}/inspect", "inspectDataset", query: ["samples"], task: DatasetRoutes.inspect),
        Route(.delete, "/v1/datasets/{dataset}", "deleteDataset", access: .write, query: ["force"], task: DatasetRoutes.delete),
        Route(.get, "/v1/datasets/{dataset}/content", "getDatasetContent", direct: DatasetRoutes.content),

        Route(.get, "/v1/checkpoints", "listCheckpoints", query: page + ["job"], task: CheckpointRoutes.list),
        Route(.get, "/v1/checkpoints/{checkpoint_id}", "getCheckpoint", task: CheckpointRoutes.get),
        Route(.post, "/v1/checkpoints/{checkpoint_id}/pin", "pinCheckpoint", access: .write, task: CheckpointRoutes.pin),
        Route(.post, "/v1/checkpoints/{checkpoint_id}/unpin", "unpinCheckpoint", access: .write, task: CheckpointRoutes.unpin),
        Route(.delete, "/v1/checkpoints/{checkpoint_id}", "deleteCheckpoint", access: .write, task: CheckpointRoutes.delete),

        Route(.get, "/v1/evaluations", "listEvaluations", query: page + ["job", "experiment"], task: EvaluationRoutes.list),
        Route(.get, "/v1/evaluations/compare", "compareEvaluations", query: ["base", "candidate"], task: EvaluationRoutes.compare),
        Route(
            .get, "/v1/evaluations/compare/items", "compareEvaluationItems", query: page + ["base", "candidate", "benchmark"],
            task: EvaluationRoutes.flippedItems),
        Route(.get, "/v1/evaluations/{evaluation_id}", "getEvaluation", task: EvaluationRoutes.get),
        Route(.get, "/v1/evaluations/{evaluation_id}/report", "getEvaluationReport", query: ["format"], task: EvaluationRoutes.report),
        Route(
            .get, "/v1/evaluations/{evaluation_id}/items", "getEvaluationItems", query: page + ["benchmark", "wrong"],
            task: EvaluationRoutes.items),

        Route(.get, "/v1/lineage/{id}", "getLineage", task: MachineRoutes.lineage),
    ]
}
