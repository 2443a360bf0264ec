import CUV
import Glibc

/// A numeric internet address with its port.
struct SocketAddress: CustomStringConvertible {
    var host: String
    var port: Int
    var isIPv6: Bool

    var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The address that a socket is bound to.
    static func local(of tcp: UnsafePointer<uv_tcp_t>) -> SocketAddress? { read { uv_tcp_getsockname(tcp, $0, $1) } }

    /// The address at the other end of a socket.
    static func peer(of tcp: UnsafePointer<uv_tcp_t>) -> SocketAddress? { read { uv_tcp_getpeername(tcp, $0, $1) } }

    private static func read(_ get: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<Int32>) -> Int32) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = Int32(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            let status = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { get($0, &length) }
            return status == 0 ? SocketAddress(pointer) : nil
        }
    }

    private init?(_ storage: UnsafeMutablePointer<sockaddr_storage>) {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = Int32(storage.pointee.ss_family)
        isIPv6 = family == AF_INET6
        switch family {
        case AF_INET:
            port = storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                uv_ip4_name(address, &text, text.count)
                return Int(UInt16(bigEndian: address.pointee.sin_port))
            }
        case AF_INET6:
            port = storage.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                uv_ip6_name(address, &text, text.count)
                return Int(UInt16(bigEndian: address.pointee.sin6_port))
            }
        default: return nil
        }
        host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
