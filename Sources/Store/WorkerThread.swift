import Glibc

/// A thread of its own for blocking work, so that neither the loop nor Swift's cooperative pool waits for a disk.
enum WorkerThread {
    fileprivate final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Starts a detached thread that ends when `run` returns. The kernel keeps 15 bytes of the name.
    static func start(name: String, _ run: @escaping @Sendable () -> Void) throws(StoreError) {
        let body = Unmanaged.passRetained(Body(name: name, run: run))
        let code = create(body.toOpaque())
        guard code == 0 else {
            body.release()
            throw StoreError(.inputOutput, "pthread_create for \(name): \(String(cString: strerror(code)))")
        }
    }

    private static func create(_ body: UnsafeMutableRawPointer) -> Int32 {
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, enterWorkerThread, body)
        if code == 0 { pthread_detach(thread) }
        return code
    }

    fileprivate static func enter(_ body: Body) {
        nameThread(body.name)
        body.run()
    }

    /// Names the calling thread for `top` and core dumps. Glibc's `pthread_setname_np` is not visible to Swift; this file is
    /// what it writes to (proc(5)). Without the name nothing else is missing.
    private static func nameThread(_ name: String) {
        let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = write(descriptor, name, name.utf8.count)
        close(descriptor)
    }
}

/// The C entry of a thread. A function of the file because a closure in the call crashes the compiler of Swift 6.3.1.
private func enterWorkerThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    WorkerThread.enter(Unmanaged<WorkerThread.Body>.fromOpaque(argument).takeRetainedValue())
    return nil
}
