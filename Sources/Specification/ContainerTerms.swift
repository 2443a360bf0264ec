import JSON

/// What a job says of the container that its worker runs in.
public struct ContainerTerms: Sendable, Hashable {
    /// What of the machine's network is seen within; a worker that talks to the daemon or to other GPUs needs `host`.
    public enum Network: String, Sendable, CaseIterable { case host, bridge, none }

    /// When an image is fetched.
    public enum Pull: String, Sendable, CaseIterable { case missing, always, never }

    /// A file or folder of the machine that is seen within.
    public struct Mount: Sendable, Hashable {
        public var source: String
        public var target: String
        public var isReadOnly: Bool

        public init(source: String, target: String, isReadOnly: Bool) {
            (self.source, self.target, self.isReadOnly) = (source, target, isReadOnly)
        }

        /// Reads PATH, PATH:TARGET or PATH:TARGET:ro. `nil` for anything else: a colon or a comma in a path cannot be told to every runtime.
        public init?(_ text: String) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard (1...3).contains(parts.count), parts.prefix(2).allSatisfy(Self.isPath),
                parts.count < 3 || ["ro", "rw"].contains(parts[2])
            else { return nil }
            self.init(source: parts[0], target: parts.count > 1 ? parts[1] : parts[0], isReadOnly: parts.last == "ro")
        }

        /// True where every runtime can be told of the path: an absolute one without ':', ',', quotes and control characters.
        public static func isPath(_ text: String) -> Bool {
            text.hasPrefix("/") && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && !":,\"".utf8.contains($0) }
        }
    }

    public var image: String
    public var mounts: [Mount]
    public var workdir: String?
    public var environment: [String: String]
    public var shmBytes: Int64?
    public var ulimits: [String: Int]
    public var network: Network?
    public var python: String?
    public var pull: Pull

    /// Reads `container` of a checked job; `nil` where the job has none.
    public init?(job spec: JSONValue) {
        guard let members = spec["container"]?.object, let image = members["image"]?.string else { return nil }
        self.image = image
        mounts = (members["mounts"]?.array ?? []).compactMap { $0.string.flatMap(Mount.init) }
        workdir = members["workdir"]?.string
        environment = (members["env"]?.object ?? [:]).reduce(into: [:]) { $0[$1.key] = $1.value.string ?? $1.value.description }
        shmBytes = members["shm"].flatMap(Quantity.bytes)
        ulimits = (members["ulimits"]?.object ?? [:]).reduce(into: [:]) { $0[$1.key] = $1.value.int }
        network = members["network"]?.string.flatMap(Network.init)
        python = members["python"]?.string
        pull = members["pull"]?.string.flatMap(Pull.init) ?? .missing
    }
}

extension SchemaCheck {
    /// What `container` of an experiment or a job stands for: a mapping, `nil` for none, where it has passed the table of its keys.
    func containerMembers(_ value: JSONValue?) -> JSONObject? {
        let path = JSONPointer(["container"])
        switch value {
        case .bool(true)?:
            fail(.badValue, path, "must name an image, or be false")
            return nil
        case .string(let image)?: return ["image": .string(image)]
        case .object(let members)?:
            checkContainer(members, at: path)
            return members
        default: return nil
        }
    }

    private func checkContainer(_ members: JSONObject, at path: JSONPointer) {
        for (index, mount) in (members["mounts"]?.array ?? []).enumerated() {
            guard let text = mount.string, !text.isEmpty else { continue }
            guard let mount = ContainerTerms.Mount(text) else {
                fail(.badValue, path / "mounts" / index, "must be PATH, PATH:TARGET or PATH:TARGET:ro with absolute paths, not '\(text)'")
                continue
            }
            if let refusal = world.context.refusal(mount.source) { fail(.notAllowed, path / "mounts" / index, refusal) }
        }
        if let folder = members["workdir"]?.string, !folder.isEmpty, !ContainerTerms.Mount.isPath(folder) {
            fail(.badValue, path / "workdir", "must be an absolute path without ':' and ','")
        }
        if let image = members["image"]?.string, image.hasPrefix("-") { fail(.badValue, path / "image", "must not begin with '-'") }
        for (name, value) in members["env"]?.object ?? [:] {
            if name.hasPrefix("ANNEAL_") || name == "CUDA_VISIBLE_DEVICES" {
                fail(.badValue, path / "env" / name, "'\(name)' is set by Anneal itself", atKey: true)
            }
            if value.string?.utf8.contains(0) == true { fail(.badValue, path / "env" / name, "must not contain a NUL character") }
        }
    }

    /// The container of a job: its own keys before those of the experiment; `nil` where it runs bare.
    func container(of job: JSONValue?, in experiment: JSONObject?) -> JSONObject? {
        if case .bool(false)? = job { return nil }
        guard let own = containerMembers(job) else { return experiment }
        let merged = (experiment ?? [:]).merging(own) { _, own in own }
        if merged["image"] == nil { fail(.required, JSONPointer(["container"]), "'image' is missing", atKey: true) }
        return merged
    }
}
