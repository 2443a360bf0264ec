import CUV
import EventLoop

/// The C side of a connection: functions that libuv calls, and calls that need pointers.
///
/// The functions are not isolated: Swift would check the isolation of each once more when it is called.
enum HTTPStreamCallbacks {
    private static let readBytes = 64 << 10
    /// Where libuv puts what it reads. One for all connections, since each read is used up within its callback.
    ///
    /// Safe although unchecked: used on the loop's thread alone.
    private nonisolated(unsafe) static let readBuffer = UnsafeMutablePointer<CChar>.allocate(capacity: readBytes)

    private static let willRead: uv_alloc_cb = { _, _, buffer in
        buffer?.pointee = uv_buf_t(base: readBuffer, len: readBytes)
    }

    private static let didRead: uv_read_cb = { stream, count, buffer in
        guard count != 0, let stream, let connection = UVHandle.owner(of: stream, as: HTTPConnection.self) else { return }
        // The bytes lie in the loop's own buffer, and this is the loop's thread.
        nonisolated(unsafe) let bytes = UnsafeRawBufferPointer(start: buffer?.pointee.base, count: max(0, count))
        LoopActor.assumeIsolated {
            if count > 0 {
                connection.didRead(bytes)
            } else if count == Int(UV_EOF.rawValue) {
                connection.didReadEnd()
            } else {
                connection.close()
            }
        }
    }

    private static let didWrite: uv_write_cb = { request, status in
        guard let data = request?.pointee.data else { return }
        let connection = Unmanaged<HTTPConnection>.fromOpaque(data).takeUnretainedValue()
        LoopActor.assumeIsolated { connection.didWrite(status: status) }
    }

    static let timerFired: uv_timer_cb = { timer in
        guard let timer, let connection = UVHandle.owner(of: timer, as: HTTPConnection.self) else { return }
        LoopActor.assumeIsolated { connection.timerFired() }
    }

    static func startReading(_ stream: UnsafeMutablePointer<uv_stream_t>) { uv_read_start(stream, willRead, didRead) }

    /// Sends what the socket takes now. Returns the number of bytes, or a negative error.
    static func tryWrite(_ output: OutputBuffer, to stream: UnsafeMutablePointer<uv_stream_t>) -> Int {
        var buffer = Self.buffer(output)
        return Int(uv_try_write(stream, &buffer, 1))
    }

    /// Sends all of `output` some time, then calls the connection.
    static func write(_ output: OutputBuffer, to stream: UnsafeMutablePointer<uv_stream_t>, of connection: HTTPConnection) -> Int32 {
        var buffer = Self.buffer(output)
        // The stream retains its connection until it is closed, and libuv ends its writes before that.
        output.request.pointee.data = Unmanaged.passUnretained(connection).toOpaque()
        return uv_write(output.request, stream, &buffer, 1, didWrite)
    }

    private static func buffer(_ output: OutputBuffer) -> uv_buf_t {
        // libuv only reads from it.
        let base = UnsafeMutableRawPointer(mutating: output.unsent.baseAddress)
        return uv_buf_t(base: base?.assumingMemoryBound(to: CChar.self), len: output.count)
    }
}
