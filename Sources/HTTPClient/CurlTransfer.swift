import CCurl

/// One curl easy handle with what it sends and what it has received. Not tied to a thread, but for one at a time.
final class CurlTransfer {
    /// Takes a piece of a body; false ends the transfer.
    typealias ChunkSink = ([UInt8]) -> Bool

    /// libcurl's global state must be set up once, before any handle.
    static let isGlobalReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    let easy: UnsafeMutableRawPointer
    private let url: String
    private let responseBytesMax: Int
    private let onHead: ((HTTPClientResponse) -> Void)?
    private let onChunk: ChunkSink?
    private var fieldList: UnsafeMutablePointer<curl_slist>?
    /// Where curl writes what went wrong.
    private let detail: UnsafeMutablePointer<CChar>
    private var response = HTTPClientResponse(status: 0, headers: [], body: [])
    private var isHeadTold = false
    /// Set when a callback ends the transfer, since curl's own code then says only that one did.
    private var failure: HTTPClientError?

    /// Prepares a transfer.
    ///
    /// - Parameters:
    ///   - onHead: called once with the final answer's status and fields, before its body.
    ///   - onChunk: takes the body of a successful answer; other bodies are collected.
    init(
        _ request: HTTPClientRequest, onHead: ((HTTPClientResponse) -> Void)? = nil, onChunk: ChunkSink? = nil
    ) throws(HTTPClientError) {
        guard Self.isGlobalReady, let easy = curl_easy_init() else { throw HTTPClientError(.other, "libcurl cannot be set up") }
        self.easy = easy
        url = request.url
        responseBytesMax = request.responseBytesMax
        self.onHead = onHead
        self.onChunk = onChunk
        detail = .allocate(capacity: Int(CURL_ERROR_SIZE))
        detail.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        try configure(request)
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(fieldList)
        detail.deallocate()
    }

    /// What came of the transfer, once curl has ended it.
    func result(_ code: CURLcode) -> Result<HTTPClientResponse, HTTPClientError> {
        if let failure { return .failure(failure) }
        guard code == CURLE_OK else {
            return .failure(HTTPClientError(code, detail: String(cString: detail), url: url))
        }
        tellHead()
        return .success(response)
    }

    // MARK: Configuration

    private func configure(_ request: HTTPClientRequest) throws(HTTPClientError) {
        let own = Unmanaged.passUnretained(self).toOpaque()
        ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, detail)
        ccurl_set_string(easy, CURLOPT_URL, request.url)
        ccurl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        ccurl_set_string(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        // Signals would hit whichever thread the process lends; curl needs none for time-outs since it resolves in a thread.
        ccurl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        ccurl_set_long(easy, CURLOPT_TCP_NODELAY, 1)
        ccurl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Self.milliseconds(request.connectTimeout))
        if let timeout = request.timeout { ccurl_set_long(easy, CURLOPT_TIMEOUT_MS, Self.milliseconds(timeout)) }
        if let lowSpeed = request.lowSpeed {
            ccurl_set_long(easy, CURLOPT_LOW_SPEED_LIMIT, lowSpeed.bytesPerSecond)
            ccurl_set_long(easy, CURLOPT_LOW_SPEED_TIME, (Self.milliseconds(lowSpeed.time) + 999) / 1000)
        }
        if request.redirectsMax > 0 {
            ccurl_set_long(easy, CURLOPT_FOLLOWLOCATION, 1)
            ccurl_set_long(easy, CURLOPT_MAXREDIRS, request.redirectsMax)
        }
        if request.refusesPrivateAddresses { _ = ccurl_refuse_private_addresses(easy) }
        if let path = request.unixSocketPath { ccurl_set_string(easy, CURLOPT_UNIX_SOCKET_PATH, path) }
        // A proxy of the environment has no way to this machine's own addresses.
        if request.unixSocketPath != nil || Self.isLoopback(request.url) { ccurl_set_string(easy, CURLOPT_NOPROXY, "*") }
        try setFields(request)
        setMethod(request)
        ccurl_set_pointer(easy, CURLOPT_HEADERDATA, own)
        ccurl_set_transfer_function(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, own in
            CurlTransfer.of(own)?.didReceiveLine(UnsafeRawBufferPointer(start: bytes, count: size * count))
            return size * count
        }
        ccurl_set_pointer(easy, CURLOPT_WRITEDATA, own)
        ccurl_set_transfer_function(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, own in
            let isTaken = CurlTransfer.of(own)?.didReceiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
            return isTaken == true ? size * count : Int(ccurl_write_error)
        }
    }

    /// The transfer of an easy handle.
    static func of(_ own: UnsafeMutableRawPointer?) -> CurlTransfer? {
        own.map { Unmanaged<CurlTransfer>.fromOpaque($0).takeUnretainedValue() }
    }

    private func setFields(_ request: HTTPClientRequest) throws(HTTPClientError) {
        var lines = request.headers.map { field in
            // Curl takes `Name:` as the wish to leave a field out, and `Name;` for one without a value.
            field.value.isEmpty ? "\(field.name);" : "\(field.name): \(field.value)"
        }
        // Without this, curl would call any body a form.
        let hasType = request.headers.contains { $0.name.lowercased() == "content-type" }
        if !hasType { lines.append("Content-Type:") }
        for line in lines {
            guard line.utf8.allSatisfy({ $0 >= 0x20 || $0 == 0x09 }) else {
                throw HTTPClientError(.invalidRequest, "a header field has a line end or another control character in it")
            }
            fieldList = curl_slist_append(fieldList, line)
        }
        ccurl_set_list(easy, CURLOPT_HTTPHEADER, fieldList)
    }

    private func setMethod(_ request: HTTPClientRequest) {
        switch request.method {
        case "GET" where request.body == nil: break
        case "HEAD": ccurl_set_long(easy, CURLOPT_NOBODY, 1)
        default:
            if let body = request.body ?? (["POST", "PUT", "PATCH"].contains(request.method) ? [] : nil) {
                ccurl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
                body.withUnsafeBytes { bytes in
                    // An empty array may have no address, and no address would make curl read the body elsewhere.
                    var nothing: UInt8 = 0
                    let source = bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) }
                    withUnsafeMutableBytes(of: &nothing) { empty in
                        _ = ccurl_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, source ?? empty.baseAddress)
                    }
                }
            }
            ccurl_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method)
        }
    }

    private static func milliseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        // A time of zero means none to curl; the caller means at once.
        return max(1, Int(clamping: min(seconds, 1 << 40)) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000))
    }

    static func isLoopback(_ url: String) -> Bool {
        // scheme, nothing, host and the rest
        let parts = url.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return false }
        return ["localhost", "127.", "[::1]"].contains { parts[2].hasPrefix($0) }
    }

    // MARK: Receiving

    private func didReceiveLine(_ line: UnsafeRawBufferPointer) {
        let text = String(decoding: line, as: UTF8.self)
        let trimmed = text.drop { $0 == " " }.prefix { $0 != "\r\n" && $0 != "\n" && $0 != "\r" }
        if trimmed.hasPrefix("HTTP/") {
            // A new answer: after an interim one (100), a redirect, or the first.
            let status = trimmed.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) } ?? 0
            response = HTTPClientResponse(status: status, headers: [], body: [])
        } else if let colon = trimmed.firstIndex(of: ":"), !isHeadTold {
            let value = trimmed[trimmed.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            response.headers.append((name: String(trimmed[..<colon]), value: String(value)))
        }
    }

    private func didReceiveBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        tellHead()
        if let onChunk, response.isSuccess {
            if onChunk(Array(bytes)) { return true }
            failure = HTTPClientError(.aborted, "\(url): ended by the receiver", curlCode: CURLE_WRITE_ERROR)
            return false
        }
        guard response.body.count + bytes.count <= responseBytesMax else {
            failure = HTTPClientError(
                .tooLarge, "\(url): the response has more than \(responseBytesMax) bytes", curlCode: CURLE_WRITE_ERROR)
            return false
        }
        response.body.append(contentsOf: bytes)
        return true
    }

    private func tellHead() {
        guard !isHeadTold else { return }
        isHeadTold = true
        onHead?(response)
    }
}
