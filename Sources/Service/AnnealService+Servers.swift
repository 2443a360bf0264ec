import Domain
import EventLoop
import JSON
import Scheduling
import Specification
import Store

// Servers that the jobs of an experiment share: started when the first of these is ready, stopped when none is left.
extension AnnealService {
    // MARK: Memory

    /// Ties jobs that have just been taken into memory to the servers that they use.
    func rememberServers(_ records: [JobRecord]) {
        for record in records where record.kind == .serve {
            guard let job = jobs[record.id] else { continue }
            let phase: ServerState.Phase =
                switch record.state {
                case .waiting: .waiting
                case .paused where record.reason != .preempted: .paused
                default: .queued
                }
            let state = ServerState(
                key: Self.serverKey(record.experimentID, record.name), name: record.name, terms: ServerTerms(spec: record.spec),
                phase: phase)
            job.server = state
            servers[state.key] = job
        }
        for record in records {
            let names = ServerTerms.used(in: record.spec)
            guard !names.isEmpty, let job = jobs[record.id] else { continue }
            job.servers = names.map { Self.serverKey(record.experimentID, $0) }
            for key in job.servers { servers[key]?.server?.users.insert(job.id) }
        }
    }

    /// For each job that uses servers, the jobs that are these.
    nonisolated static func serverUses(in jobs: [JobRecord]) -> [String: [String]] {
        let servers = Dictionary(jobs.filter { $0.kind == .serve }.map { ($0.name, $0.id) }, uniquingKeysWith: { first, _ in first })
        guard !servers.isEmpty else { return [:] }
        var uses: [String: [String]] = [:]
        for job in jobs {
            let used = ServerTerms.used(in: job.spec).compactMap { servers[$0] }
            if !used.isEmpty { uses[job.id] = used }
        }
        return uses
    }

    private static func serverKey(_ experiment: String, _ name: String) -> String { experiment + "/" + name }

    /// Notes the end of a job: of one that uses servers, or of a server.
    func forgetServers(of job: ActiveJob, as state: JobState) {
        for key in job.servers {
            servers[key]?.server?.users.remove(job.id)
            if state == .succeeded, servers[key]?.server?.endpoint != nil { servers[key]?.server?.hasServed = true }
        }
        if let server = job.server {
            server.forgetAttempt()
            if servers[server.key] === job { servers[server.key] = nil }
            for id in server.users { if let user = jobs[id], user.awaitsServer { endWithoutServer(user) } }
        }
        reviewServers()
    }

    // MARK: Jobs that use servers

    /// The first server of a job that does not answer yet; `nil` where all do.
    private func missingServer(of job: ActiveJob) -> String? { job.servers.first { servers[$0]?.server?.endpoint == nil } }

    /// Where the servers of a job answer, by name; `nil` where one does not.
    func endpoints(for job: ActiveJob) -> [String: ServerEndpoint]? {
        var found: [String: ServerEndpoint] = [:]
        for key in job.servers {
            guard let server = servers[key]?.server, let endpoint = server.endpoint else { return nil }
            found[server.name] = endpoint
        }
        return found
    }

    /// Keeps a job that is ready out of the scheduler until its servers answer.
    ///
    /// - Returns: false where nothing keeps it.
    func waitForServers(_ job: ActiveJob) -> Bool {
        guard let key = missingServer(of: job) else { return false }
        guard let server = servers[key]?.server else {
            endWithoutServer(job)
            return true
        }
        job.awaitsServer = true
        let (id, name) = (job.id, server.name)
        background("noting what \(id) waits for") { [self] in
            try await store.write { writer in
                guard try writer.jobState(id) == .queued else { return }
                try writer.setReason(job: id, .serverPending, message: "waits for the server job '\(name)'")
            }
            hub.touch(id)
        }
        return true
    }

    /// Gives back what the scheduler gave to a job whose server went away meanwhile.
    func waitAgain(_ job: ActiveJob) {
        scheduler.release(job.id, at: now)
        if job.stopRequest == .serverLost { job.stopRequest = nil }
        enqueue(job, notBefore: nil)
    }

    /// Skips a job that is ready but whose server has ended for good.
    private func endWithoutServer(_ job: ActiveJob) {
        job.awaitsServer = true
        persistently("skipping \(job.id)") { [self] in
            let moment = now
            let state = try await store.write { writer -> JobState? in
                guard let record = try writer.job(job.id) else { return nil }
                let used = ServerTerms.used(in: record.spec)
                let gone = try writer.jobs(experiment: record.experimentID).first { used.contains($0.name) && $0.state.isTerminal }
                let message = gone.map { server in
                    "its server, the job '\(server.name)', is \(server.state.rawValue)" + (server.message.map { ": \($0)" } ?? "")
                }
                try writer.transition(job: job.id, from: [.paused], to: .queued, at: moment)
                return try writer.transition(
                    job: job.id, from: [.queued], to: .skipped, reason: .needFailed, message: message ?? "its server is gone", at: moment)?
                    .state
            }
            guard state != nil, jobs[job.id] === job else { return }
            finished(job.id, as: .skipped)
            schedule()
        }
    }

    /// True where the job is looked at just now: it may turn out to be ready, or to be answered from the cache.
    private func mayNeedServers(_ id: String) -> Bool { jobs[id]?.isAdvancing == true }

    /// True where the job runs, or would if its servers answered.
    private func needsServers(_ id: String) -> Bool {
        guard let job = jobs[id] else { return false }
        if job.isDispatched { return true }
        if job.awaitsServer { return !job.isHeld }
        return scheduler.queuedJob(id).map { !$0.isHeld && $0.notBefore == nil } ?? false
    }

    // MARK: Servers

    /// Starts servers that are needed and stops those that are not. Cheap where there are none.
    func reviewServers() {
        guard phase == .ready, !servers.isEmpty else { return }
        for job in servers.values { if let server = job.server { review(job, server) } }
    }

    private func review(_ job: ActiveJob, _ server: ServerState) {
        guard server.terms.isShared, !server.isMoving else { return }
        let isNeeded = server.users.contains(where: needsServers)
        let isKept = isNeeded || server.users.contains(where: mayNeedServers)
        if isKept || server.users.isEmpty || !job.isDispatched {
            server.lingering?.cancel()
            server.lingering = nil
        }
        if job.isDispatched {
            guard job.stopRequest == nil else { return }
            if server.users.isEmpty { return stopIdle(job) }
            if !isKept, server.lingering == nil {
                server.lingering = LoopTimer(after: server.terms.linger) { [weak self] in
                    server.lingering = nil
                    guard let self, jobs[job.id] === job, !server.users.contains(where: needsServers) else { return }
                    stopIdle(job)
                }
            }
            return
        }
        switch server.phase {
        case .waiting: break
        case .resting, .paused:
            if server.users.isEmpty { end(job, server) } else if isNeeded, server.phase == .resting, !server.yields { wake(job, server) }
        case .queued:
            if server.users.isEmpty { end(job, server) } else if !isKept { putToRest(job, server) }
        }
    }

    private func stopIdle(_ job: ActiveJob) {
        background("stopping the server \(job.id)") { [self] in try await stop(job.id, .idle) }
    }

    /// Puts a resting server into the queue.
    private func wake(_ job: ActiveJob, _ server: ServerState) {
        move(job, server, "starting the server") { writer, moment in
            try writer.transition(job: job.id, from: [.waiting], to: .queued, at: moment)?.state
        } then: { [self] in
            enterQueue(job, notBefore: nil)
        }
    }

    /// Takes a server that nobody needs any more out of the queue.
    private func putToRest(_ job: ActiveJob, _ server: ServerState) {
        scheduler.remove(job.id)
        startFactsAtHand[job.id] = nil
        move(job, server, "putting the server to rest") { writer, moment in
            try writer.transition(
                job: job.id, from: [.queued], to: .waiting, reason: .serverIdle, message: Self.restingMessage, at: moment)?.state
        } then: {
            server.phase = .resting
        }
    }

    /// Ends a server that does not run and whose users have all ended.
    private func end(_ job: ActiveJob, _ server: ServerState) {
        scheduler.remove(job.id)
        move(job, server, "ending the server") { writer, moment in
            try writer.transition(job: job.id, from: [.waiting, .paused], to: .queued, at: moment)
            return try writer.transition(
                job: job.id, from: [.queued], to: .succeeded, reason: .succeeded, message: Self.endMessage, at: moment)?.state
        } then: { [self] in
            finished(job.id, as: .succeeded)
        }
    }

    /// What is said of a server that waits for somebody to need it.
    nonisolated static let restingMessage = "no job that uses the server is ready"
    /// What is said of a server that is needed no longer.
    nonisolated static let endMessage = "every job that uses the server has ended"

    /// Writes a change of a server's state down, and looks at it again; where the state was another by then, nothing follows.
    private func move(
        _ job: ActiveJob, _ server: ServerState, _ what: String,
        _ write: @escaping @Sendable (WriteTransaction, Timestamp) throws -> JobState?,
        then: @escaping @LoopActor @Sendable () -> Void
    ) {
        server.isMoving = true
        persistently("\(what) \(job.id)") { [self] in
            let moment = now
            let state: JobState?
            do {
                state = try await store.write { try write($0, moment) }
            } catch {
                // What is tried again stays in motion.
                if (error as? StoreError)?.isPassing != true { server.isMoving = false }
                throw error
            }
            server.isMoving = false
            if state != nil, jobs[job.id] === job { then() }
            schedule()
        }
    }

    // MARK: A running server

    /// Looks for the endpoint of a server's attempt as soon as its folder changes.
    func watchEndpoint(of job: ActiveJob, _ attempt: RunningAttempt) {
        guard let server = job.server else { return }
        server.forgetAttempt()
        server.hasServed = false
        do throws(UVError) {
            server.watcher = try PathWatcher(path: attempt.directory) { [weak self] name in
                if name == nil || name == ServerEndpoint.file { self?.lookForEndpoint(of: job) }
            }
        } catch {
            // It is looked for every second as well.
            log.warning("a server's folder cannot be watched", metadata: ["job": "\(job.id)", "error": "\(error)"])
        }
        lookForEndpoint(of: job)
    }

    /// Reads where a server answers; one that has changed is another server.
    func lookForEndpoint(of job: ActiveJob) {
        guard let server = job.server, let attempt = job.attempt, job.stopRequest == nil else { return }
        background("looking for the endpoint of \(job.id)") { [self] in
            let (id, directory) = (attempt.id, attempt.directory)
            let found = try await files.run { try ServerEndpoint.read(attempt: id, directory: directory) }
            guard job.attempt === attempt, job.stopRequest == nil, !attempt.hasEnded, found != server.endpoint else { return }
            if server.endpoint != nil { serverWentAway(job) }
            server.endpoint = found
            hub.touch(job.id)
            guard let found else { return }
            log.info("a server answers", metadata: ["job": "\(job.id)", "attempt": "\(id)", "url": "\(found.url)"])
            for user in server.users.compactMap({ jobs[$0] }) where user.awaitsServer && missingServer(of: user) == nil {
                enterQueue(user, notBefore: nil)
            }
            schedule()
        }
    }

    /// Stops the jobs that use a server which is gone or about to go; they run again when there is one.
    func serverWentAway(_ job: ActiveJob) {
        guard let server = job.server else { return }
        server.endpoint = nil
        hub.touch(job.id)
        server.starvedSince = nil
        for id in server.users where jobs[id]?.isDispatched == true {
            background("stopping \(id), whose server went away") { [self] in try await stop(id, .serverLost) }
        }
    }

    /// True where the servers that an attempt was started with still answer as far as is known.
    func hasItsServers(_ job: ActiveJob, _ attempt: RunningAttempt) async throws -> Bool {
        let path = attempt.directory + "/job.json"
        let known = try await files.run {
            try Folders.tail(of: path, limit: ServiceLimits.reportBytesMax).map { try JSONParser.parse($0) }
        }
        guard let known, let present = endpoints(for: job) else { return false }
        return present.allSatisfy { known["servers"]?[$0.key] == $0.value.document }
    }
}
