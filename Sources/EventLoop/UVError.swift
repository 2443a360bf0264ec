import CUV

/// A libuv call that failed, with its name and libuv's (negative) error code.
public struct UVError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The function that failed, such as `uv_tcp_bind`.
    public var call: String
    /// A negative `errno`, or one of libuv's own codes.
    public var code: Int32

    public init(call: String, code: Int32) {
        self.call = call
        self.code = code
    }

    /// What libuv says of the code, such as `address already in use`.
    public var message: String { uv_strerror(code).map { String(cString: $0) } ?? "error \(code)" }
    /// The code's name, such as `EADDRINUSE`.
    public var name: String { uv_err_name(code).map { String(cString: $0) } ?? "\(code)" }

    public var description: String { "\(call): \(message) (\(name))" }

    /// Turns a libuv status into an error where it is one.
    package static func check(_ status: Int32, _ call: String) throws(UVError) {
        if status < 0 { throw UVError(call: call, code: status) }
    }
}
