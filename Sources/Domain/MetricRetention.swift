/// How long what was measured stays after the end of its attempt; `nil` for ever.
public struct MetricRetention: Sendable, Hashable {
    /// The two tiers of one kind of metrics.
    public struct Ages: Sendable, Hashable {
        /// Every point. Older ones leave the least, the greatest and the mean of each 256 neighbours.
        public var points: Duration?
        /// What is left of the points.
        public var summaries: Duration?

        public init(points: Duration?, summaries: Duration?) {
            self.points = points
            self.summaries = summaries
        }
    }

    /// What trainers log.
    public var curves: Ages
    /// What the daemon reads of GPUs and host for each attempt.
    public var devices: Ages

    /// Curves for ever; readings of devices whole for 30 days, and in outline for a year.
    public static let standard = MetricRetention(
        curves: Ages(points: nil, summaries: nil), devices: Ages(points: .seconds(30 * 86_400), summaries: .seconds(365 * 86_400)))

    public init(curves: Ages, devices: Ages) {
        self.curves = curves
        self.devices = devices
    }
}
