import Glibc
import Testing

@testable import Devices

struct HostFactsTests {
    @Test func theFactsAreThoseOfThisMachine() {
        let facts = HostFacts.read()
        #expect((1...sysconf(Int32(_SC_NPROCESSORS_CONF))).contains(facts.cpuCount))
        #expect(facts.memoryBytes > 1 << 26)
        #expect(facts.memoryBytes <= Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE))))
        #expect(facts.bootID.utf8.count == 36)
        #expect(HostFacts.read().bootID == facts.bootID)
    }

    @Test func theLeastLimitOnTheWayToTheRootHolds() throws {
        var template = Array("/tmp/anneal-devices-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let mount = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { for path in ["/a/b/cpu.max", "/a/b/memory.max", "/a/cpu.max", "/a/memory.max", "/a/b", "/a", ""] { remove(mount + path) } }
        mkdir(mount + "/a", 0o700)
        mkdir(mount + "/a/b", 0o700)
        try write("150000 100000\n", to: mount + "/a/cpu.max")
        try write("max\n", to: mount + "/a/memory.max")
        try write("max 100000\n", to: mount + "/a/b/cpu.max")
        try write("1073741824\n", to: mount + "/a/b/memory.max")

        let membership = "4:memory:/old\n0::/a/b\n"
        #expect(ControlGroupLimits(membership: membership, mount: mount) == ControlGroupLimits(cpuCores: 1.5, memoryBytes: 1 << 30))
        #expect(ControlGroupLimits(membership: "0::/a\n", mount: mount) == ControlGroupLimits(cpuCores: 1.5))
        #expect(ControlGroupLimits(membership: "0::/\n", mount: mount) == ControlGroupLimits())
        #expect(ControlGroupLimits(membership: "", mount: mount) == ControlGroupLimits())
    }

    private func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        try #require(fputs(text, file) >= 0)
    }
}
