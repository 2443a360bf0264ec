import CUV
import Glibc

/// Starts POSIX threads with a name, a stack size and a Swift closure as their body.
enum NamedThread {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread. Linux shows the first 15 bytes of the name. Traps where the system has no thread to give.
    static func start(name: String, stackBytes: Int, _ body: @escaping @Sendable () -> Void) -> pthread_t {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)
        let start = Unmanaged.passRetained(Start(name: name, body: body)).toOpaque()
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                cuv_set_thread_name(start.name)
                start.body()
                return nil
            }, start)
        precondition(status == 0, "cannot start the thread '\(name)': \(String(cString: strerror(status)))")
        return thread
    }
}
