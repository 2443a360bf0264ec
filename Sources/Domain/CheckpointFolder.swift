/// The names of checkpoints in a job's folder.
public enum CheckpointFolder {
    /// The N of `step_<N>`, digits alone; `nil` for other names, such as `tmp_step_3` and `step_+3`.
    public static func step(of name: String) -> Int? {
        let digits = name.dropFirst(5)
        guard name.hasPrefix("step_"), digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return Int(digits)
    }
}
