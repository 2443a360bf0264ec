/// Where the inventory of GPUs comes from; the value of `--gpus`.
public enum GPUMode: Sendable, Hashable {
    /// The NVIDIA driver, where there is one.
    case auto
    /// No GPUs, whatever the machine has.
    case none
    /// This many GPUs that do not exist, to try out schedules.
    case simulated(Int)

    /// The most GPUs that can be simulated.
    public static let simulatedMax = 1_024

    /// Reads `auto`, `none` or `sim:N` with N from 1 to `simulatedMax`; `nil` for anything else.
    public init?(parsing text: String) {
        switch text {
        case "auto": self = .auto
        case "none": self = .none
        default:
            guard text.hasPrefix("sim:"), case let digits = text.dropFirst(4), digits.allSatisfy(\.isNumber), let count = Int(digits),
                (1...Self.simulatedMax).contains(count)
            else { return nil }
            self = .simulated(count)
        }
    }
}
