import APITypes
import Devices
import Diagnosis
import Domain
import EventLoop
import Glibc
import JSON
import Store

// GPUs are proved free before a start and empty after an end; those that fail, or that strangers use, are kept out of use.
extension AnnealService {
    /// Between two looks at all GPUs.
    static let sweepInterval: Duration = .seconds(5)
    /// How often, and at what intervals, a GPU is looked at after an attempt's end before it is called occupied.
    private static let proofs = 25
    private static let proofInterval: Duration = .milliseconds(200)

    /// True where nobody but attempts that share them computes on these GPUs. Otherwise they are marked, and the job must not start.
    func areEmpty(_ gpus: [String], for job: ActiveJob) async throws -> Bool {
        guard !gpus.isEmpty else { return true }
        let occupants = try await readOccupants(gpus)
        var isFree = true
        for (uuid, found) in occupants {
            let leftovers = found.attempts.filter { !isAlive(attempt: $0.key) }
            if !leftovers.isEmpty { killLeftovers(leftovers, on: uuid) }
            gpuConditions[uuid, default: GPUCondition()].foreign = found.strangers.isEmpty ? nil : found.strangersText
            if !found.strangers.isEmpty || !leftovers.isEmpty { isFree = false }
            if !leftovers.isEmpty { proveEmpty([uuid]) }
            applyCondition(of: uuid)
        }
        return isFree
    }

    /// Keeps GPUs from the next job until the driver lists no process of the attempt that held them.
    func proveEmpty(_ gpus: [String]) {
        guard !gpus.isEmpty, devices.listsProcesses, phase == .ready else { return }
        for uuid in gpus {
            gpuConditions[uuid, default: GPUCondition()].unproven = GPUCondition.beingProved
            applyCondition(of: uuid)
        }
        background("proving GPUs empty") { [self] in
            for round in 0..<Self.proofs {
                let occupants = try await readOccupants(gpus)
                let leftovers = occupants.mapValues { $0.attempts.filter { !isAlive(attempt: $0.key) } }.filter { !$0.value.isEmpty }
                for uuid in gpus where leftovers[uuid] == nil { settle(uuid, occupants[uuid]) }
                if leftovers.isEmpty { break }
                for (uuid, attempts) in leftovers { killLeftovers(attempts, on: uuid) }
                if round == Self.proofs - 1 {
                    for uuid in leftovers.keys { gpuConditions[uuid]?.unproven = "processes of an ended attempt cannot be killed" }
                }
                await Self.pause(Self.proofInterval)
            }
            schedule()
        }
    }

    private func settle(_ uuid: String, _ occupants: GPUOccupants?) {
        gpuConditions[uuid]?.unproven = nil
        gpuConditions[uuid]?.foreign = occupants.flatMap { $0.strangers.isEmpty ? nil : $0.strangersText }
        applyCondition(of: uuid)
    }

    private static func pause(_ time: Duration) async {
        await withCheckedContinuation { continuation in _ = LoopTimer(after: time) { continuation.resume() } }
    }

    private func isAlive(attempt id: String) -> Bool { jobs.values.contains { $0.attempt?.id == id } }

    private func killLeftovers(_ attempts: [String: [Int32]], on uuid: String) {
        for (attempt, pids) in attempts {
            log.warning(
                "killing processes that outlived their attempt", metadata: ["attempt": "\(attempt)", "gpu": "\(uuid)", "pids": "\(pids)"])
            for pid in pids { kill(pid, SIGKILL) }
        }
    }

    private func readOccupants(_ gpus: [String]) async throws -> [String: GPUOccupants] {
        let (devices, parent, wanted) = (devices, configuration.attemptsDirectory, Set(gpus))
        return try await gpuThread.run {
            let held = devices.readings().filter { wanted.contains($0.uuid) }
            return Dictionary(
                held.map { ($0.uuid, GPUOccupants(of: $0, attemptsDirectory: parent)) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Tells the scheduler what a GPU's condition allows.
    func applyCondition(of uuid: String) {
        let condition = gpuConditions[uuid]
        scheduler.setHealth(ofGPU: uuid, unhealthy: condition?.reason, isSettling: condition?.reason == GPUCondition.beingProved)
    }

    // MARK: Watching

    /// Looks at all GPUs now and then, and listens for faults that the driver reports.
    func watchGPUs() {
        guard devices.source != "none" else { return }
        sweepTimer = LoopTimer(after: .zero, every: Self.sweepInterval) { [weak self] in
            guard let self, phase == .ready, !isSweeping else { return }
            isSweeping = true
            background("looking at the GPUs") { [self] in
                defer { isSweeping = false }
                try await sweep()
            }
        }
        deviceWatch = devices.watchFaults { [weak self] fault in
            Task { @LoopActor in self?.take(fault) }
        }
    }

    private func sweep() async throws {
        let (devices, parent) = (devices, configuration.attemptsDirectory)
        let looks = try await gpuThread.run {
            devices.readings().map { ($0, GPUOccupants(of: $0, attemptsDirectory: parent), DeviceHealth.judge($0)) }
        }
        var changed = false
        for (device, occupants, health) in looks {
            let before = gpuConditions[device.uuid]
            var condition = before ?? GPUCondition()
            condition.foreign = occupants.strangers.isEmpty ? nil : occupants.strangersText
            condition.fault = health.reason
            guard condition != before, before != nil || condition != GPUCondition() else { continue }
            gpuConditions[device.uuid] = condition
            applyCondition(of: device.uuid)
            changed = true
            if let reason = health.reason, before?.fault == nil {
                take(GPUFault(uuid: device.uuid, xid: device.xid, kind: health.kind, message: reason, at: now))
            }
            tellCondition(of: device.uuid)
        }
        if changed { schedule() }
    }

    /// A fault takes the GPU out of use until somebody has looked at it, and counts as evidence for the attempt that holds it.
    func take(_ fault: GPUFault) {
        log.error("a GPU reported a fault", metadata: ["gpu": "\(fault.uuid)", "fault": "\(fault.message)"])
        for (jobID, running) in scheduler.running where running.allocation.gpus.contains(fault.uuid) {
            jobs[jobID]?.attempt?.gpuFaults.append(fault)
        }
        guard fault.isOfDevice else { return }
        background("draining \(fault.uuid)") { [self] in _ = try await drain(gpu: fault.uuid, reason: fault.message) }
    }

    private func tellCondition(of uuid: String) {
        let condition = gpuConditions[uuid] ?? GPUCondition()
        log.notice(
            "a GPU's condition changed",
            metadata: ["gpu": "\(uuid)", "health": "\(condition.health)", "reason": "\(condition.reason ?? "")"])
        let moment = now
        background("recording the condition of \(uuid)") { [self] in
            _ = try await store.write { writer in
                try writer.appendEvent(
                    "gpu", at: moment,
                    payload: [
                        "uuid": .string(uuid), "health": .string(condition.health),
                        "reason": condition.reason.map(JSONValue.string) ?? .null,
                    ])
            }
        }
    }

    // MARK: Operators

    /// Takes a GPU out of use: who holds it keeps it, nobody new gets it. Lasts until `undrain`, over restarts.
    ///
    /// - Parameter gpu: its UUID or its index.
    public func drain(gpu: String, reason: String?) async throws -> GPUView {
        let uuid = try gpuUUID(gpu)
        let text = reason ?? "drained by request"
        let moment = now
        try await store.write { try $0.setGPUState(uuid: uuid, drained: true, reason: text, at: moment) }
        gpuConditions[uuid, default: GPUCondition()].drained = text
        return try await conditionChanged(uuid)
    }

    /// Puts a drained GPU back into use.
    public func undrain(gpu: String) async throws -> GPUView {
        let uuid = try gpuUUID(gpu)
        let moment = now
        try await store.write { try $0.setGPUState(uuid: uuid, drained: false, reason: nil, at: moment) }
        gpuConditions[uuid]?.drained = nil
        return try await conditionChanged(uuid)
    }

    private func conditionChanged(_ uuid: String) async throws -> GPUView {
        applyCondition(of: uuid)
        tellCondition(of: uuid)
        schedule()
        guard let view = try await gpus().data.first(where: { $0.uuid == uuid }) else { throw ServiceError.missing("GPU", uuid) }
        return view
    }

    private func gpuUUID(_ text: String) throws -> String {
        let found = devices.devices()
        if let device = found.first(where: { $0.uuid == text }) { return device.uuid }
        if let index = Int(text), let device = found.first(where: { $0.index == index }) { return device.uuid }
        throw ServiceError.missing("GPU", text)
    }
}
