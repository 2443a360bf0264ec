import CPosix
import Glibc
import JSON

/// The folder of an attempt whose shim runs on another machine, which shares the disk. Every call blocks.
///
/// The lock and the process table of this machine say nothing of it: the shim's files alone do.
public struct BatchFolder: Sendable {
    /// What the shim's files say; nothing where no shim has written anything that can be seen from here.
    public struct Finding: Sendable {
        public var start: Start?
        public var end: ExitRecord?

        /// Makes one from its parts.
        public init(start: Start? = nil, end: ExitRecord? = nil) { (self.start, self.end) = (start, end) }
    }

    /// How the worker's program began.
    public struct Start: Sendable {
        public var pid: Int32
        /// Milliseconds since 1970, by the node's clock.
        public var atMs: Int64
        /// Those of the allocation, each by node and index.
        public var gpus: [String]
        /// The batch system's id of the job that it runs in.
        public var batchID: String?
        /// Every node has told of its part.
        public var isWhole: Bool
    }

    private static let logTailBytes = 2_000

    private let folder: AttemptFolder

    /// - Parameter path: the attempt's folder; absolute.
    public init(path: String) { folder = AttemptFolder(path: path) }

    /// The folder's path.
    public var path: String { folder.path }

    /// The path of a file in the folder.
    public func path(of name: String) -> String { folder.path(of: name) }

    /// Makes the folder with everything that the shim reads, and `files` beside it. A folder with spec.json is complete.
    public func create(_ launch: AttemptLaunch, files: [(name: String, text: String)]) throws {
        // Made by `create` below where it is missing; a file in it must be there before spec.json says that all is.
        for directory in launch.directories + [folder.path] { try AttemptFolder.makeFolders(directory) }
        for (name, text) in files { try folder.write(Array(text.utf8), to: name) }
        try folder.create(launch, bootID: "")
    }

    /// The folder's own name, which is the attempt's id.
    public var name: String { String(folder.name) }

    /// Replaces a file of the folder as a whole.
    public func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }

    /// The same.
    public func write(_ bytes: [UInt8], to name: String) throws { try folder.write(bytes, to: name) }

    /// Whether the folder has a file of this name.
    public func has(_ name: String) -> Bool { access(folder.path(of: name), F_OK) == 0 }

    /// Whether the folder was completed.
    public func isComplete() -> Bool { has("spec.json") }

    /// Reads what the shim has written. A record that cannot be read is none: the shim gives each its name when it is whole.
    ///
    /// - Parameter knowsStart: how the worker began is known, and not read again.
    public func look(knowsStart: Bool = false) -> Finding {
        // In this order: one that ends meanwhile is found to have begun, too.
        let end = document("exit.json").flatMap { ExitRecord($0) }
        guard !knowsStart else { return Finding(end: end) }
        guard let document = document("shim.json"), let pid = document["child_pid"]?.int, let startedAt = document["started_at_ms"]?.int
        else { return Finding(end: end) }
        var gpus = document["batch"]?["gpus"]?.array?.compactMap(\.string) ?? []
        var isWhole = true
        // Each of several nodes tells of its own.
        for rank in 1..<max(1, document["batch"]?["node_count"]?.int ?? 1) {
            let node = self.document("nodes/node_\(rank).json")
            isWhole = isWhole && node != nil
            gpus += node?["gpus"]?.array?.compactMap(\.string) ?? []
        }
        let start = Start(
            pid: Int32(truncatingIfNeeded: pid), atMs: Int64(startedAt), gpus: gpus, batchID: document["batch"]?["job_id"]?.string,
            isWhole: isWhole)
        return Finding(start: start, end: end)
    }

    /// Leaves an order to end where the shim looks for one; a later order of a higher `serial` replaces it.
    ///
    /// - Parameter dumpsStacks: the shim is to write first what the worker's processes are at.
    public func order(reason: String, ladder: StopLadder?, serial: Int, dumpsStacks: Bool = false) throws {
        var document: JSONObject = ["version": 1, "serial": .int(Int64(serial)), "reason": .string(reason)]
        if dumpsStacks { document["dump"] = true }
        if let ladder { document["ladder"] = ladder.document }
        try folder.write(JSONWriter().bytes(of: .object(document)), to: "stop.json")
    }

    /// A JSON file of the folder; `nil` where there is none that can be read.
    public func document(_ name: String) -> JSONValue? { try? folder.read(name).get() }  // what cannot be read is as good as missing

    /// The last lines of a log of the folder; empty where there is none.
    public func tail(of name: String) -> String {
        let file = cposix_open(AT_FDCWD, folder.path(of: name), O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return "" }
        defer { close(file) }
        let end = lseek(file, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: min(Int(max(0, end)), Self.logTailBytes))
        let count = pread(file, &bytes, bytes.count, max(0, end - off_t(bytes.count)))
        guard count > 0 else { return "" }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
