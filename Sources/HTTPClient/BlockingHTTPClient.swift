import CCurl
import Glibc

/// An HTTP client that blocks its thread, for programs that have nothing else to do meanwhile.
public enum BlockingHTTPClient {
    /// Performs a request.
    ///
    /// - Parameters:
    ///   - onChunk: takes the body of a successful answer as it comes, and returns false to end the transfer, which throws
    ///     `aborted`. Without it, and for other answers, the body is collected.
    ///   - uploadFile: a file whose bytes are the request's body, read as they are sent.
    ///   - onProgress: told the bytes sent so far and in all, at least about once a second; returns false to end the transfer.
    public static func perform(
        _ request: HTTPClientRequest, onChunk: (([UInt8]) -> Bool)? = nil, uploadFile path: String? = nil,
        onProgress: ((_ sent: Int64, _ total: Int64) -> Bool)? = nil
    ) throws(HTTPClientError) -> HTTPClientResponse {
        let transfer = try CurlTransfer(request, onChunk: onChunk)
        let upload = try path.map { (path) throws(HTTPClientError) in try FileUpload(path: path, method: request.method, of: transfer) }
        let progress = onProgress.map { Progress(report: $0, of: transfer) }
        let code = curl_easy_perform(transfer.easy)
        withExtendedLifetime(progress) {}
        if let failure = upload?.failure { throw failure }
        return try transfer.result(code).get()
    }

    /// The body of a request that curl reads from a file while it sends.
    private final class FileUpload {
        private let path: String
        private let file: Int32
        private(set) var failure: HTTPClientError?

        init(path: String, method: String, of transfer: CurlTransfer) throws(HTTPClientError) {
            self.path = path
            file = open(path, O_RDONLY | O_CLOEXEC)
            var status = stat()
            guard file >= 0, fstat(file, &status) == 0 else {
                throw HTTPClientError(.invalidRequest, "\(path): \(String(cString: strerror(errno)))", curlCode: CURLE_READ_ERROR)
            }
            let easy = transfer.easy
            ccurl_set_long(easy, CURLOPT_UPLOAD, 1)
            // An upload is a PUT to curl; the request's own method goes on the line.
            ccurl_set_string(easy, CURLOPT_CUSTOMREQUEST, method)
            // A pipe or device has no size to announce and is sent in chunks.
            if status.st_mode & S_IFMT == S_IFREG { ccurl_set_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(status.st_size)) }
            ccurl_set_pointer(easy, CURLOPT_READDATA, Unmanaged.passUnretained(self).toOpaque())
            ccurl_set_transfer_function(easy, CURLOPT_READFUNCTION) { bytes, size, count, own in
                guard let own else { return ccurl_read_abort }
                return Unmanaged<FileUpload>.fromOpaque(own).takeUnretainedValue().read(into: bytes, size * count)
            }
        }

        deinit { if file >= 0 { close(file) } }

        private func read(into bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
            while true {
                let got = Glibc.read(file, bytes, count)
                if got >= 0 { return got }
                if errno == EINTR { continue }
                failure = HTTPClientError(.invalidRequest, "\(path): \(String(cString: strerror(errno)))", curlCode: CURLE_READ_ERROR)
                return ccurl_read_abort
            }
        }
    }

    /// Tells how far an upload is.
    private final class Progress {
        private let report: (Int64, Int64) -> Bool

        init(report: @escaping (Int64, Int64) -> Bool, of transfer: CurlTransfer) {
            self.report = report
            ccurl_set_long(transfer.easy, CURLOPT_NOPROGRESS, 0)
            ccurl_set_pointer(transfer.easy, CURLOPT_XFERINFODATA, Unmanaged.passUnretained(self).toOpaque())
            ccurl_set_progress_function(transfer.easy) { own, _, _, total, sent in
                guard let own else { return 0 }
                let progress = Unmanaged<Progress>.fromOpaque(own).takeUnretainedValue()
                return progress.report(Int64(sent), Int64(total)) ? 0 : 1
            }
        }
    }
}
