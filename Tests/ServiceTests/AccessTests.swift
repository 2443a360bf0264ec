import APITypes
import Domain
import EventLoop
import Foundation
import Testing

@testable import Service
@testable import Store

/// Tokens and the audit log at their limits, and what of the machine's files a spec may name.
@Suite struct AccessTests {
    private static func record(_ number: Int) -> TokenRecord {
        let hash = String(repeating: "0", count: 64 - String(number).count) + String(number)
        return TokenRecord(
            id: "tok_\(number)", name: "t\(number)", hash: hash, scope: .read, projects: nil, createdBy: "test",
            createdAt: Timestamp(milliseconds: 1), expiresAt: nil)
    }

    @Test func noMoreTokensAreMadeThanMayBeInForce() async throws {
        try await ServiceFixture.with { fixture in
            await LoopActor.run { for number in 1..<ServiceLimits.tokensMax { fixture.service.accessTokens.add(Self.record(number)) } }
            let last = try await fixture.service.createToken(name: "last", scope: .read, projects: nil, lifetime: nil, by: "test")
            let refusal = await #expect(throws: ServiceError.self) {
                _ = try await fixture.service.createToken(name: "more", scope: .read, projects: nil, lifetime: nil, by: "test")
            }
            #expect(refusal?.code == .conflict)
            _ = try await fixture.service.revokeToken(last.id)
            _ = try await fixture.service.createToken(name: "more", scope: .read, projects: nil, lifetime: nil, by: "test")
        }
    }

    @Test func aTokenIsFoundByItsWholeDigestWhileItIsInForce() async throws {
        try await ServiceFixture.with { fixture in
            let view = try await fixture.service.createToken(
                name: "a", scope: .submit, projects: ["q", "p"], lifetime: .seconds(3600), by: "test")
            let token = try #require(view.token)
            let found = await LoopActor.run { fixture.service.accessToken(token) }
            #expect(found?.scope == .submit && found?.projects == ["p", "q"])
            #expect(await LoopActor.run { fixture.service.accessToken(token + "0") } == nil)
            await LoopActor.run {
                let tokens = fixture.service.accessTokens
                #expect(tokens.find(token, at: Timestamp(milliseconds: fixture.service.now.milliseconds + 3_600_001)) == nil)
            }
            // Its use is in memory only, until it is written down with those of others.
            #expect(try await fixture.store.read { try $0.token("a")?.lastUsedAt } == nil)
            await fixture.service.saveTokenUses()
            #expect(try await fixture.store.read { try $0.token("a")?.lastUsedAt } != nil)
        }
    }

    private static func write(_ path: String, at moment: Int64 = 1) -> AuditRecord {
        AuditRecord(
            at: Timestamp(milliseconds: moment), actorKind: "attempt", actor: "att_1", address: "127.0.0.1", operation: "logJobMetrics",
            method: "POST", path: path, targets: [], status: 200)
    }

    @Test func frequentRequestsAreCountedInOneRecord() async throws {
        try await ServiceFixture.with { fixture in
            // Nothing is written before auditCountedSeconds are over, or somebody asks.
            for moment in Int64(1)...3 { await fixture.service.audit(Self.write("/a", at: moment), isFrequent: true) }
            await fixture.service.audit(Self.write("/b"), isFrequent: true)
            let page = try await fixture.service.auditLog(AuditFilter(), page: PageRequest())
            var seen = page.data
            while seen.count < 2 { seen = try await fixture.service.auditLog(AuditFilter(), page: PageRequest()).data }
            let first = try #require(seen.first { $0.path == "/a" })
            #expect(first.count == 3 && first.at < first.lastAt)
        }
    }

    @Test func whatIsCountedIsWrittenDownWhenThereIsTooMuchOfIt() async throws {
        try await ServiceFixture.with { fixture in
            let count = { try await fixture.store.read { try $0.audit(AuditFilter(), limit: 1000, after: nil).items.count } }
            // At one moment, so that no time is over meanwhile.
            await LoopActor.run {
                for number in 0...ServiceLimits.auditCountedMax { fixture.service.audit(Self.write("/\(number)"), isFrequent: true) }
            }
            var written = 0
            while written == 0 { written = try await count() }
            #expect(written == ServiceLimits.auditCountedMax, "the one too many is counted anew")
        }
    }

    @Test func theAuditLogKeepsTheNewestRecords() async throws {
        try await ServiceFixture.with { fixture in
            let moment = await LoopActor.run { fixture.service.now.milliseconds }
            try await fixture.store.write { writer in
                for _ in 0..<3 { try writer.insert(audit: Self.write("/old", at: moment)) }
                try writer.execute("UPDATE audit SET id = ? WHERE id = 3", ServiceLimits.auditRecordsMax + 1)
            }
            // As many as may stay reach back to the second.
            try await fixture.service.forgetAudit()
            #expect(try await fixture.store.read { try $0.audit(AuditFilter(), limit: 10, after: nil).items.map(\.id) }.last == 2)
            try await fixture.store.write { try $0.insert(audit: Self.write("/new", at: 1)) }
            try await fixture.service.forgetAudit()
            // The newest is too old, and gone by its age.
            #expect(
                try await fixture.store.read { try $0.audit(AuditFilter(), limit: 10, after: nil).items.map(\.id) } == [
                    Int64(ServiceLimits.auditRecordsMax + 1), 2,
                ])
        }
    }

    @Test func linksAndClimbingPathsCountByWhereTheyLead() throws {
        let root = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path + "/anneal-paths-" + UUID().uuidString
        let files = FileManager.default
        for name in ["in", "out", "in2"] { try files.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true) }
        defer { try? files.removeItem(atPath: root) }  // A leftover of a test does no harm.
        try Data().write(to: URL(fileURLWithPath: root + "/out/secret"))
        try files.createSymbolicLink(atPath: root + "/in/away", withDestinationPath: root + "/out")
        try files.createSymbolicLink(atPath: root + "/in/dangling", withDestinationPath: root + "/nowhere")
        try files.createSymbolicLink(atPath: root + "/link", withDestinationPath: root + "/in")
        let policy = PathPolicy(folders: [root + "/link"])
        for path in ["/in", "/in/none", "/in/none/below", "/link/x", "/out/../in/x", "/in/./x"] {
            #expect(policy.permits(root + path), "\(path)")
        }
        for path in [
            "/in/away/secret", "/in/away", "/in2", "/in2/x", "/in/../out/secret", "/in/none/../../out/secret", "/in/dangling",
            "/in/dangling/x", "/out", "",
        ] { #expect(!policy.permits(root + path), "\(path)") }
        #expect(PathPolicy(folders: nil).permits("/etc/passwd") && !PathPolicy(folders: []).permits(root + "/in"))
        #expect(PathPolicy(folders: ["/"]).permits("/etc/passwd"))
    }
}
