import CCurl

/// Why there is no answer. An answer of any status is none of these.
public struct HTTPClientError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kinds that callers tell apart.
    public enum Code: String, Sendable {
        /// The name was not resolved, or nobody answers there.
        case connectionFailed
        case timedOut
        /// The response has more bytes than the request allows.
        case tooLarge
        case invalidURL
        /// The request cannot be sent as it is.
        case invalidRequest
        /// The caller ended the transfer: its task was cancelled, or its callback said so.
        case aborted
        case other
    }

    public var code: Code
    /// What happened, for people.
    public var message: String
    /// curl's number for it; 0 where curl had no part in it.
    public var curlCode: Int

    public var description: String { message }

    init(_ code: Code, _ message: String, curlCode: CURLcode = CURLE_OK) {
        self.code = code
        self.message = message
        self.curlCode = Int(curlCode.rawValue)
    }

    /// Curl's code with the text that it left for this transfer.
    init(_ curlCode: CURLcode, detail: String, url: String) {
        let code: Code =
            switch curlCode {
            case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .connectionFailed
            case CURLE_OPERATION_TIMEDOUT: .timedOut
            case CURLE_FILESIZE_EXCEEDED: .tooLarge
            case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: .invalidURL
            case CURLE_ABORTED_BY_CALLBACK: .aborted
            default: .other
            }
        let text = detail.isEmpty ? String(cString: curl_easy_strerror(curlCode)) : detail
        self.init(code, "\(url): \(text)", curlCode: curlCode)
    }
}
