import APITypes
import Domain
import EventLoop
import Glibc
import JSON
import Specification
import Store
import Supervision

// Workers in containers: how they begin, and what becomes of containers that nobody watches any more.
extension AnnealService {
    private nonisolated static let patience: Duration = .seconds(60)
    private nonisolated static let listBytesMax = 1 << 20

    /// Puts the worker of an attempt into the container that its job asks for; a job without one stays as it is.
    func enclose(_ launch: AttemptLaunch, _ record: JobRecord, _ resolved: ResolvedJob, _ attempt: RunningAttempt) async throws
        -> AttemptLaunch
    {
        guard let terms = ContainerTerms(job: record.spec) else { return launch }
        let cluster = configuration.cluster(record.terms.cluster)
        if cluster == nil { try await prepareContainers() }
        let enclosure = ContainerEnclosure(
            configuration: configuration.seen(from: cluster), terms: terms, cluster: cluster, hasDevices: devices.source != "simulated")
        let variables = (resolved.spec["env"]?.object ?? [:]).reduce(into: [:]) { $0[$1.key] = $1.value.string ?? $1.value.description }
        let enclosed = EnclosedAttempt(
            id: attempt.id, jobID: record.id, kind: record.kind, inputs: resolved.inputs.map(\.path),
            folders: [record.logDirectory].compactMap(\.self), gpus: attempt.allocation.gpus,
            memoryBytes: cluster == nil ? attempt.allocation.memoryBytes : record.resources.memoryBytes, cpus: record.resources.cpus)
        var result = launch
        try enclosure.enclose(&result, attempt: enclosed, jobVariables: variables)
        return result
    }

    /// Removes the containers that an earlier daemon's attempts have left, once, before the first container of this daemon starts.
    ///
    /// It also lets a podman without root make its lasting helper process outside of any worker's tree.
    func prepareContainers() async throws {
        guard !hasPreparedContainers, let runtime = configuration.containers.runtime, runtime == .podman || runtime == .docker else {
            return
        }
        hasPreparedContainers = true
        let (setting, data) = (configuration.containers, configuration.dataDirectory)
        let names = try await containerThread.run { try Self.containers(of: data, setting) }
        let live = Set(jobs.values.compactMap { $0.attempt.map { ContainerFacts.name(of: $0.id) } })
        for name in names where !live.contains(name) { await removeContainer(name) }
    }

    /// Removes what an attempt that was lost may have left; its shim would have done it.
    func removeContainer(ofLost attempt: RunningAttempt, job record: JobRecord?) {
        // What is left on a cluster's node ends with its allocation.
        guard let record, record.terms.cluster == nil, ContainerTerms(job: record.spec) != nil else { return }
        background("removing the container of \(attempt.id)") { [self] in await removeContainer(ContainerFacts.name(of: attempt.id)) }
    }

    private func removeContainer(_ name: String) async {
        guard let runtime = configuration.containers.runtime, runtime == .podman || runtime == .docker else { return }
        let setting = configuration.containers
        do {
            // In the first try podman may only find out that the container's monitor is gone.
            for _ in 1...3 {
                let removal = ContainerCommand.removal(of: name, setting)
                let (_, ending) = try await containerThread.run { try Self.call(removal) }
                if ending == .exit(0) { return log.info("a container without a worker was removed", metadata: ["container": "\(name)"]) }
            }
            log.warning("a container could not be removed", metadata: ["container": "\(name)"])
        } catch {
            log.warning("a container could not be removed", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    private nonisolated static func containers(of data: String, _ setting: ContainerConfiguration) throws -> [String] {
        let list = ["ps", "--all", "--filter", "label=\(ContainerFacts.dataLabel)=\(data)", "--format", "{{.Names}}"]
        let (bytes, ending) = try call([setting.program] + setting.options + list)
        guard ending == .exit(0) else {
            throw ServiceError(
                .unavailable, "\(setting.program) cannot list its containers (\(ending)); run '\(setting.program) ps' to see why")
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private nonisolated static func call(_ argv: [String]) throws -> (bytes: [UInt8], ending: ProgramOutput.Ending) {
        let environment = ContainerEnclosure.clientVariables.compactMap { name in
            getenv(name).map { (name: name, value: String(cString: $0)) }
        }
        return try ProgramOutput.run(argv, environment: environment, timeout: patience, bytesMax: listBytesMax)
    }

    /// What the self-examination says of containers.
    nonisolated static func containerCheck(_ setting: ContainerConfiguration) -> DoctorCheck {
        guard let runtime = setting.runtime else {
            return DoctorCheck(name: "containers", ok: true, detail: "no runtime was found; jobs with a container are refused")
        }
        guard access(setting.program, X_OK) == 0 else {
            return DoctorCheck(
                name: "containers", ok: false, detail: "\(setting.program) cannot be executed",
                advice: "install \(runtime.program), or set 'containers.program' in the configuration")
        }
        // A runtime that is not asked for need not work.
        guard setting.isConfigured, runtime != .pyxis, let answer = try? call([setting.program] + setting.options + ["version"]) else {
            return DoctorCheck(name: "containers", ok: true, detail: "\(runtime.rawValue), \(setting.program)")
        }
        let ok = answer.ending == .exit(0)
        return DoctorCheck(
            name: "containers", ok: ok, detail: ok ? "\(runtime.rawValue), \(setting.program)" : "'\(setting.program) version' fails",
            advice: ok ? nil : "run '\(([setting.program] + setting.options).joined(separator: " ")) version' as the daemon's user")
    }
}
