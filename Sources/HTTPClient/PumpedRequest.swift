import CCurl
import EventLoop

/// A request that a `RequestPump` sends again and again with another body: a curl handle that is set up once.
@LoopActor
public final class PumpedRequest {
    /// How a request ended.
    public enum Ending: Sendable, Equatable {
        /// An answer came whole, of whatever status.
        case done
        /// Nobody answers at the address.
        case unreachable(String)
        case timedOut(String)
        /// What came is no HTTP.
        case noHTTP(String)
        /// The connection, or the receiver, ended the answer before its end.
        case closed(String)
    }

    /// Curl's buffer for what comes in; with hundreds of requests its usual 16 KiB would be most of the memory.
    private static let bufferBytes = 8 << 10
    private static let connectSeconds = 10

    let easy: UnsafeMutableRawPointer
    /// Takes the body piece by piece, whatever the status; false ends the request.
    public var onBody: (@LoopActor (UnsafeRawBufferPointer) -> Bool)?
    private let fields: UnsafeMutablePointer<curl_slist>?
    /// Where curl writes what went wrong.
    private let detail: UnsafeMutablePointer<CChar>

    /// A POST to `url` with these fields.
    public init(url: String, headers: [(name: String, value: String)], timeoutMilliseconds: Int) throws(HTTPClientError) {
        guard CurlTransfer.isGlobalReady, let easy = curl_easy_init() else { throw HTTPClientError(.other, "libcurl cannot be set up") }
        self.easy = easy
        detail = .allocate(capacity: Int(CURL_ERROR_SIZE))
        detail.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        // Without the last one curl would ask for leave before a long body, and wait a second where none is given.
        let lines = headers.map { "\($0.name): \($0.value)" } + ["Expect:"]
        fields = lines.reduce(nil) { curl_slist_append($0, $1) }
        configure(url: url, timeoutMilliseconds: timeoutMilliseconds)
    }

    isolated deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(fields)
        detail.deallocate()
    }

    private func configure(url: String, timeoutMilliseconds: Int) {
        let own = Unmanaged.passUnretained(self).toOpaque()
        ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, detail)
        ccurl_set_string(easy, CURLOPT_URL, url)
        ccurl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        ccurl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        ccurl_set_long(easy, CURLOPT_TCP_NODELAY, 1)
        ccurl_set_long(easy, CURLOPT_BUFFERSIZE, Self.bufferBytes)
        ccurl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Self.connectSeconds * 1000)
        ccurl_set_long(easy, CURLOPT_TIMEOUT_MS, max(1, timeoutMilliseconds))
        // A proxy of the environment has no way to this machine's own addresses.
        if CurlTransfer.isLoopback(url) { ccurl_set_string(easy, CURLOPT_NOPROXY, "*") }
        ccurl_set_list(easy, CURLOPT_HTTPHEADER, fields)
        ccurl_set_long(easy, CURLOPT_POST, 1)
        ccurl_set_pointer(easy, CURLOPT_WRITEDATA, own)
        ccurl_set_transfer_function(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, own in
            guard let own else { return Int(ccurl_write_error) }
            let request = Unmanaged<PumpedRequest>.fromOpaque(own).takeUnretainedValue()
            let piece = UnsafeRawBufferPointer(start: bytes, count: size * count)
            // Curl calls back only from within the pump's calls, which are on the loop.
            return LoopActor.assumeIsolated { request.onBody?(piece) ?? true } ? size * count : Int(ccurl_write_error)
        }
    }

    /// Gives the request another body.
    public func prepare(_ body: [UInt8]) {
        detail[0] = 0
        ccurl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
        body.withUnsafeBytes { bytes in
            _ = ccurl_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) })
        }
    }

    /// The status of the answer; 0 before there is one.
    public var status: Int { number(CURLINFO_RESPONSE_CODE) }

    /// Seconds that the server asks to wait; 0 where it does not.
    public var retryAfterSeconds: Int { number(CURLINFO_RETRY_AFTER) }

    private func number(_ info: CURLINFO) -> Int {
        var value = 0
        ccurl_get_long(easy, info, &value)
        return value
    }

    /// What curl's code means.
    func ending(_ code: CURLcode) -> Ending {
        let own = String(cString: detail)
        let text = own.isEmpty ? String(cString: curl_easy_strerror(code)) : own
        switch code {
        case CURLE_OK: return .done
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: return .unreachable(text)
        case CURLE_OPERATION_TIMEDOUT:
            // A connection that is not made in time is no slow answer.
            return number(CURLINFO_PRETRANSFER_TIME_T) > 0 ? .timedOut(text) : .unreachable(text)
        case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_HTTP2, CURLE_BAD_CONTENT_ENCODING: return .noHTTP(text)
        default: return .closed(text)
        }
    }
}
