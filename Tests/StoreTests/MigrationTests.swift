import Domain
import Foundation
import Testing

@testable import Store

@Suite struct MigrationTests {
    private static let first = Migration(
        version: 1, name: "make", sql: "CREATE TABLE a (id INTEGER PRIMARY KEY) STRICT; INSERT INTO a VALUES (7);")
    private static let second = Migration(
        version: 2, name: "grow", sql: "CREATE TABLE b (id INTEGER PRIMARY KEY REFERENCES a (id)) STRICT;")

    private func files(in folder: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }

    @Test func theProgramCarriesEveryMigrationOfTheFolder() throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let names = try files(in: root + "/migrations").filter { $0.hasSuffix(".sql") }
        #expect(
            names == Migration.embedded.map { "\(String(repeating: "0", count: 4 - String($0.version).count))\($0.version)_\($0.name).sql" }
        )
        #expect(Migration.embedded.map(\.version) == Array(1...names.count))
        for (name, migration) in zip(names, Migration.embedded) {
            #expect(try String(contentsOfFile: root + "/migrations/" + name, encoding: .utf8) == migration.sql)
        }
    }

    @Test func aNewDatabaseGetsAllMigrationsAndNoBackup() async throws {
        try await StoreFixture.withFolder { folder in
            let store = try Store.open(path: folder + "/a.db", now: { at(77) }, migrations: [Self.first, Self.second])
            let applied = try await store.read { transaction in
                try transaction.rows("SELECT version, name, checksum, applied_at_ms FROM schema_migration ORDER BY 1") {
                    "\($0.integer()) \($0.text()) \($0.text().count) \($0.long())"
                }
            }
            await store.close()
            #expect(applied == ["1 make 64 77", "2 grow 64 77"])
            #expect(try !files(in: folder).contains("backups"))
        }
    }

    @Test func aCopyIsKeptBeforeTheFirstPendingMigration() async throws {
        try await StoreFixture.withFolder { folder in
            await (try Store.open(path: folder + "/a.db", migrations: [Self.first])).close()
            await (try Store.open(path: folder + "/a.db", now: { at(0) }, migrations: [Self.first, Self.second])).close()
            #expect(try files(in: folder + "/backups") == ["1970-01-01T00-00-00.000Z-v0001.db"])
            // The copy opens with the older program and holds the rows.
            let copy = try Store.open(path: folder + "/backups/1970-01-01T00-00-00.000Z-v0001.db", migrations: [Self.first])
            #expect(try await copy.read { try $0.rows("SELECT id FROM a") { $0.integer() } } == [7])
            await copy.close()
            // Nothing pending: no further copy.
            await (try Store.open(path: folder + "/a.db", migrations: [Self.first, Self.second])).close()
            #expect(try files(in: folder + "/backups").count == 1)
        }
    }

    @Test func aDatabaseNewerThanTheProgramIsRefused() async throws {
        try await StoreFixture.withFolder { folder in
            await (try Store.open(path: folder + "/a.db", migrations: [Self.first, Self.second])).close()
            let error = #expect(throws: StoreError.self) { try Store.open(path: folder + "/a.db", migrations: [Self.first]) }
            #expect(error?.code == .schema)
            #expect(error?.message.contains("schema version 2 (grow)") == true)
        }
    }

    @Test func aChangedMigrationIsRefused() async throws {
        try await StoreFixture.withFolder { folder in
            await (try Store.open(path: folder + "/a.db", migrations: [Self.first])).close()
            let changed = Migration(version: 1, name: "make", sql: Self.first.sql + " ")
            let error = #expect(throws: StoreError.self) { try Store.open(path: folder + "/a.db", migrations: [changed, Self.second]) }
            #expect(error?.code == .schema)
            #expect(error?.message.contains("migration 1 (make)") == true)
        }
    }

    @Test func aFailedMigrationLeavesTheDatabaseAsItWas() async throws {
        try await StoreFixture.withFolder { folder in
            await (try Store.open(path: folder + "/a.db", migrations: [Self.first])).close()
            let broken = Migration(version: 2, name: "broken", sql: "CREATE TABLE c (id INTEGER); INSERT INTO nowhere VALUES (1);")
            #expect(throws: StoreError.self) { try Store.open(path: folder + "/a.db", migrations: [Self.first, broken]) }
            let dangling = Migration(version: 2, name: "dangling", sql: "\(Self.second.sql) INSERT INTO b VALUES (8);")
            let error = #expect(throws: StoreError.self) { try Store.open(path: folder + "/a.db", migrations: [Self.first, dangling]) }
            #expect(error?.message == "migration 2 (dangling) leaves 1 broken references, one in b")
            let store = try Store.open(path: folder + "/a.db", migrations: [Self.first])
            let tables = try await store.read {
                try $0.rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1") { $0.text() }
            }
            await store.close()
            #expect(tables == ["a", "schema_migration"])
        }
    }

    @Test func aTableThatOthersReferToCanBeRebuilt() async throws {
        try await StoreFixture.withFolder { folder in
            let filled = Migration(version: 2, name: "grow", sql: Self.second.sql + " INSERT INTO b VALUES (7);")
            let rebuild = Migration(
                version: 3, name: "rebuild",
                sql: """
                    CREATE TABLE a2 (id INTEGER PRIMARY KEY, note TEXT) STRICT; INSERT INTO a2 (id) SELECT id FROM a; DROP TABLE a;
                    ALTER TABLE a2 RENAME TO a;
                    """)
            await (try Store.open(path: folder + "/a.db", migrations: [Self.first, filled])).close()
            let store = try Store.open(path: folder + "/a.db", migrations: [Self.first, filled, rebuild])
            // The references are checked again afterwards.
            #expect(try await code { try await store.write { try $0.execute("DELETE FROM a") } } == .constraint)
            await store.close()
        }
    }

    @Test func filesThatAreNoDatabaseOfAnnealAreRefused() async throws {
        try await StoreFixture.withFolder { folder in
            try String(repeating: "no database\n", count: 100).write(toFile: folder + "/text.db", atomically: true, encoding: .utf8)
            #expect(throws: StoreError.self) { try Store.open(path: folder + "/text.db") }
            await (try Store.open(path: folder + "/other.db", migrations: [Self.first])).close()
            let other = Migration(version: 1, name: "drop", sql: "DROP TABLE schema_migration")
            let store = try Store.open(path: folder + "/other.db", migrations: [Self.first])
            try await store.write { try $0.execute(other.sql) }
            await store.close()
            let error = #expect(throws: StoreError.self) { try Store.open(path: folder + "/other.db") }
            #expect(error?.message == "the file is a database, but not one of Anneal")
            #expect(throws: StoreError.self) { try Store.open(path: folder + "/missing/a.db") }
        }
    }
}
