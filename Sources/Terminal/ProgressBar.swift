/// A horizontal bar that fills from the left, in eighths of a column.
public enum ProgressBar {
    /// The bar for `fraction`, from 0 to 1, in exactly `width` columns.
    public static func text(fraction: Double, width: Int) -> String {
        let eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        let clamped = fraction.isFinite ? min(1, max(0, fraction)) : 0
        let filled = Int((clamped * Double(width * 8)).rounded(.down))
        let partial = eighths[filled % 8]
        let empty = width - filled / 8 - (partial.isEmpty ? 0 : 1)
        return String(repeating: "█", count: filled / 8) + partial + String(repeating: "░", count: max(0, empty))
    }
}
