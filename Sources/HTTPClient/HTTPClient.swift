import CCurl
import EventLoop

/// An HTTP client on the libuv loop: curl's multi interface, with the loop watching its sockets and its timer.
///
/// Connections are kept and used again. Cancelling the task that waits ends its transfer.
@LoopActor
public final class HTTPClient {
    private struct Running {
        let number: UInt64
        let transfer: CurlTransfer
        let continuation: CheckedContinuation<Result<HTTPClientResponse, HTTPClientError>, Never>
    }

    private let multi: UnsafeMutableRawPointer
    private var watchers: [Int32: DescriptorWatcher] = [:]
    private var timer: LoopTimer?
    private var running: [UnsafeMutableRawPointer: Running] = [:]
    private var byNumber: [UInt64: UnsafeMutableRawPointer] = [:]
    private var lastNumber: UInt64 = 0

    /// A client with at most so many connections at once; further requests wait for one.
    public init(connectionsMax: Int = 64) {
        guard let multi = curl_multi_init() else { preconditionFailure("libcurl has no memory") }
        self.multi = multi
        let own = Unmanaged.passUnretained(self).toOpaque()
        ccurl_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connectionsMax)
        ccurl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, own)
        ccurl_multi_set_socket_function(multi) { _, socket, what, own, _ in
            guard let own else { return 0 }
            let client = Unmanaged<HTTPClient>.fromOpaque(own).takeUnretainedValue()
            LoopActor.assumeIsolated { client.watch(socket, what) }
            return 0
        }
        ccurl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, own)
        ccurl_multi_set_timer_function(multi) { _, milliseconds, own in
            guard let own else { return 0 }
            let client = Unmanaged<HTTPClient>.fromOpaque(own).takeUnretainedValue()
            LoopActor.assumeIsolated { client.setTimer(milliseconds) }
            return 0
        }
    }

    isolated deinit {
        // No transfer runs: each holds the client through the call that waits for it.
        curl_multi_cleanup(multi)
        timer?.cancel()
        for watcher in watchers.values { watcher.cancel() }
    }

    /// Sends a request and collects the answer.
    public func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        try await start { () throws(HTTPClientError) in try CurlTransfer(request) }.get()
    }

    /// Sends a request and hands the body of a successful answer over piece by piece; other bodies are collected.
    ///
    /// - Parameters:
    ///   - onHead: called once with the status and the fields, before the body.
    ///   - onChunk: returns false to end the transfer, which throws `aborted`.
    public func stream(
        _ request: HTTPClientRequest, onHead: (@LoopActor (HTTPClientResponse) -> Void)? = nil,
        onChunk: @escaping @LoopActor ([UInt8]) -> Bool
    ) async throws(HTTPClientError) -> HTTPClientResponse {
        try await start { () throws(HTTPClientError) in
            // Curl calls back only within `curl_multi_socket_action`, which is called on the loop alone.
            try CurlTransfer(
                request, onHead: onHead.map { onHead in { head in LoopActor.assumeIsolated { onHead(head) } } },
                onChunk: { bytes in LoopActor.assumeIsolated { onChunk(bytes) } })
        }.get()
    }

    private func start(_ make: () throws(HTTPClientError) -> CurlTransfer) async -> Result<HTTPClientResponse, HTTPClientError> {
        let transfer: CurlTransfer
        do throws(HTTPClientError) { transfer = try make() } catch { return .failure(error) }
        lastNumber += 1
        let number = lastNumber
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                running[transfer.easy] = Running(number: number, transfer: transfer, continuation: continuation)
                byNumber[number] = transfer.easy
                let status = curl_multi_add_handle(multi, transfer.easy)
                if status != CURLM_OK {
                    end(transfer.easy, .failure(HTTPClientError(.other, String(cString: curl_multi_strerror(status)))))
                }
            }
        } onCancel: {
            Task { @LoopActor in self.cancel(number) }
        }
    }

    private func cancel(_ number: UInt64) {
        guard let easy = byNumber[number] else { return }
        end(easy, .failure(HTTPClientError(.aborted, "the request was cancelled", curlCode: CURLE_ABORTED_BY_CALLBACK)))
    }

    private func end(_ easy: UnsafeMutableRawPointer, _ result: Result<HTTPClientResponse, HTTPClientError>) {
        guard let ended = running.removeValue(forKey: easy) else { return }
        byNumber[ended.number] = nil
        curl_multi_remove_handle(multi, easy)
        ended.continuation.resume(returning: result)
    }

    // MARK: What curl asks of the loop

    private func watch(_ socket: curl_socket_t, _ what: Int32) {
        var events: DescriptorWatcher.Events = []
        if what & CURL_POLL_IN != 0 { events.insert(.readable) }
        if what & CURL_POLL_OUT != 0 { events.insert(.writable) }
        if what == CURL_POLL_REMOVE {
            watchers.removeValue(forKey: socket)?.cancel()
        } else if let watcher = watchers[socket] {
            watcher.update(events: events)
        } else {
            // It fails only for a descriptor that is no socket; the transfer then ends by its time-out.
            watchers[socket] = try? DescriptorWatcher(descriptor: socket, events: events) { [weak self] events in
                self?.ready(socket, events)
            }
        }
    }

    private func setTimer(_ milliseconds: Int) {
        timer?.cancel()
        timer = nil
        guard milliseconds >= 0 else { return }
        // Even for zero a timer, because curl must not be called from within its callback.
        timer = LoopTimer(after: .milliseconds(milliseconds)) { [weak self] in
            self?.act(ccurl_socket_timeout, 0)
        }
    }

    private func ready(_ socket: curl_socket_t, _ events: DescriptorWatcher.Events) {
        var mask: Int32 = 0
        if events.contains(.readable) { mask |= CURL_CSELECT_IN }
        if events.contains(.writable) { mask |= CURL_CSELECT_OUT }
        if events == .disconnect { mask = CURL_CSELECT_ERR }
        act(socket, mask)
    }

    private func act(_ socket: curl_socket_t, _ mask: Int32) {
        var count: Int32 = 0
        curl_multi_socket_action(multi, socket, mask, &count)
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            let code = ccurl_message_result(message)
            guard let transfer = running[easy]?.transfer else { continue }
            end(easy, transfer.result(code))
        }
    }
}
