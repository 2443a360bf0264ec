import CCurl
import EventLoop

/// Runs many requests to the same few servers at once on curl's multi interface, without a task or an allocation of its own for each.
///
/// Watchers and the timer are kept between transfers: with a thousand requests in flight, making them anew costs more than the requests.
@LoopActor
public final class RequestPump {
    private let multi: UnsafeMutableRawPointer
    private let onEnd: @LoopActor (PumpedRequest, PumpedRequest.Ending) -> Void
    private var watchers: [Int32: DescriptorWatcher] = [:]
    private var timer: LoopTimer?
    /// When the timer fires, and when curl wants to be called; in nanoseconds of the monotonic clock.
    private var timerAt = UInt64.max
    private var dueAt = UInt64.max
    private var isDriving = false
    private var running: [UnsafeMutableRawPointer: PumpedRequest] = [:]

    /// - Parameters:
    ///   - connectionsMax: connections kept for further requests.
    ///   - onEnd: called for each request that ended by itself; it may start others.
    public init(connectionsMax: Int, onEnd: @escaping @LoopActor (PumpedRequest, PumpedRequest.Ending) -> Void) {
        guard let multi = curl_multi_init() else { preconditionFailure("libcurl has no memory") }
        self.multi = multi
        self.onEnd = onEnd
        let own = Unmanaged.passUnretained(self).toOpaque()
        // Connections that wait for their next request; curl would drop some and make them anew.
        ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, connectionsMax)
        ccurl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, own)
        ccurl_multi_set_socket_function(multi) { _, socket, what, own, _ in
            guard let own else { return 0 }
            let pump = Unmanaged<RequestPump>.fromOpaque(own).takeUnretainedValue()
            LoopActor.assumeIsolated { pump.watch(socket, what) }
            return 0
        }
        ccurl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, own)
        ccurl_multi_set_timer_function(multi) { _, milliseconds, own in
            guard let own else { return 0 }
            let pump = Unmanaged<RequestPump>.fromOpaque(own).takeUnretainedValue()
            LoopActor.assumeIsolated { pump.setDue(milliseconds) }
            return 0
        }
    }

    isolated deinit {
        for easy in running.keys { curl_multi_remove_handle(multi, easy) }
        curl_multi_cleanup(multi)
        timer?.cancel()
        for watcher in watchers.values { watcher.cancel() }
    }

    /// Starts a request that was prepared. It runs with the next `drive`.
    public func start(_ request: PumpedRequest) {
        running[request.easy] = request
        let status = curl_multi_add_handle(multi, request.easy)
        precondition(status == CURLM_OK, "a request that runs was started again")
    }

    /// Lets curl do what is due. Called after a batch of starts; within `onEnd` it is done by itself.
    public func drive() {
        guard !isDriving else { return }
        isDriving = true
        while dueAt <= SystemTime.monotonicNanoseconds() {
            dueAt = .max
            act(ccurl_socket_timeout, 0)
        }
        isDriving = false
        setTimer()
    }

    /// Ends one request, as if the connection had ended it; nothing happens where it does not run.
    public func end(_ request: PumpedRequest) {
        guard running.removeValue(forKey: request.easy) != nil else { return }
        curl_multi_remove_handle(multi, request.easy)
        onEnd(request, .closed("the request was ended"))
    }

    /// Ends all requests without a word.
    public func stop() {
        for easy in running.keys { curl_multi_remove_handle(multi, easy) }
        running = [:]
    }

    // MARK: What curl asks of the loop

    private func watch(_ socket: curl_socket_t, _ what: Int32) {
        var events: DescriptorWatcher.Events = []
        if what != CURL_POLL_REMOVE {
            if what & CURL_POLL_IN != 0 { events.insert(.readable) }
            if what & CURL_POLL_OUT != 0 { events.insert(.writable) }
        }
        if let watcher = watchers[socket] {
            // A number that curl closed and got again is as good as the same socket: a pause has taken it out of the poll.
            watcher.update(events: events)
        } else if !events.isEmpty {
            // It fails only for a descriptor that is no socket; the transfer then ends by its time-out.
            watchers[socket] = try? DescriptorWatcher(descriptor: socket, events: events) { [weak self] events in
                self?.ready(socket, events)
            }
        }
    }

    private func setDue(_ milliseconds: Int) {
        dueAt = milliseconds < 0 ? .max : SystemTime.monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        if !isDriving { setTimer() }
    }

    /// Makes sure that a timer fires no later than curl wants; one that fires too early looks again.
    private func setTimer() {
        guard dueAt != .max, dueAt < timerAt || timer == nil else { return }
        timer?.cancel()
        let now = SystemTime.monotonicNanoseconds()
        timerAt = dueAt
        timer = LoopTimer(after: .nanoseconds(Int64(clamping: dueAt - min(now, dueAt)))) { [weak self] in
            guard let self else { return }
            timer = nil
            timerAt = .max
            drive()
        }
    }

    private func ready(_ socket: curl_socket_t, _ events: DescriptorWatcher.Events) {
        var mask: Int32 = 0
        if events.contains(.readable) { mask |= CURL_CSELECT_IN }
        if events.contains(.writable) { mask |= CURL_CSELECT_OUT }
        // Told of an error as such, curl would only say that there was one; a read or a write finds out which.
        if events == .disconnect { mask = CURL_CSELECT_IN | CURL_CSELECT_OUT }
        let wasDriving = isDriving
        isDriving = true
        act(socket, mask)
        isDriving = wasDriving
        drive()
    }

    private func act(_ socket: curl_socket_t, _ mask: Int32) {
        var count: Int32 = 0
        curl_multi_socket_action(multi, socket, mask, &count)
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            // The message is gone once the handle is.
            let code = ccurl_message_result(message)
            curl_multi_remove_handle(multi, easy)
            guard let request = running.removeValue(forKey: easy) else { continue }
            onEnd(request, request.ending(code))
        }
    }
}
