/// A server's answer.
public struct HTTPClientResponse: Sendable {
    public var status: Int
    /// Fields in their order.
    public var headers: [(name: String, value: String)]
    /// The body, unless a callback has taken it piece by piece.
    public var body: [UInt8]

    /// The value of the first field of this name, whatever its case.
    public func header(_ name: String) -> String? {
        let wanted = name.lowercased()
        return headers.first { $0.name.lowercased() == wanted }?.value
    }

    /// Whether the status is one of success.
    public var isSuccess: Bool { (200..<300).contains(status) }
}
