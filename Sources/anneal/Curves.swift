import APITypes
import JSON
import Terminal

/// Curves of a job as the metrics commands fetch and draw them.
struct Curves {
    /// Names under which trainers report the loss, the most telling first.
    static let trainingLossKeys = ["train/loss", "loss", "training_loss", "train_loss"]
    static let validationLossKeys = [
        "validation/val_loss", "val/loss", "validation/loss", "eval/loss", "val_loss", "validation_loss", "eval_loss",
    ]
    /// What tells of reinforcement, whose loss does not.
    static let rewardKeys = ["train/reward", "validation/accuracy"]
    /// Colours of curves drawn together.
    static let styles: [TextStyle] = [.cyan, .yellow, .magenta, .green, .blue, .red]

    let client: APIClient
    let jobID: String

    func summary() throws -> APIClient.Answer<MetricSummaryView> {
        try client.get(MetricSummaryView.self, ["v1", "jobs", jobID, "metrics"])
    }

    /// One curve, thinned by the daemon to `points` points that keep the extremes.
    func curve(_ key: String, points: Int?, attempt: Int? = nil) throws -> APIClient.Answer<CurveView> {
        var query = [("key", key)]
        if let points { query.append(("points", String(points))) }
        if let attempt { query.append(("attempt", String(attempt))) }
        return try client.get(CurveView.self, ["v1", "jobs", jobID, "metrics"], query: query)
    }

    /// What is drawn where nothing else is asked for: a training loss and a validation loss, as far as there are any, and of
    /// reinforcement the reward and the accuracy.
    static func lossKeys(among keys: [String]) -> [String] {
        if keys.contains(rewardKeys[0]) { return rewardKeys.filter(keys.contains) }
        return [trainingLossKeys, validationLossKeys].compactMap { names in names.first(where: keys.contains) }
    }

    static func plot(_ curves: [CurveView], columns: Int, rows: Int) -> [StyledText] {
        let series = curves.enumerated().map { index, curve in
            BraillePlot.Series(
                name: curve.key, points: curve.points.map { (Double($0.step), $0.value.number) }, style: styles[index % styles.count])
        }
        return BraillePlot(series, columns: columns, rows: rows).lines()
    }
}
