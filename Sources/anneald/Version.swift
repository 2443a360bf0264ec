/// The version of the daemon and its contract.
enum Version {
    static let text = "0.1.0"
}
