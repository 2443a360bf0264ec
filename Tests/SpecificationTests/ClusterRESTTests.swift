import Domain
import Testing

@testable import Specification

/// slurmrestd in a cluster's terms.
@Suite struct ClusterRESTTests {
    private static func rest(_ text: String) throws -> Result<ClusterTerms.RESTAccess?, SpecErrors> {
        let document = try SpecDocument.parse(Array("clusters: {hpc: {executor: slurm, rest: \(text)}}".utf8), format: .yaml).get()
        return ClusterDocument.read(document).map { $0.first?.rest }
    }

    @Test func anAddressOrASocketIsTaken() throws {
        let port = try #require(try Self.rest("{url: 'http://login:6820/', user: train, token: HPC_TOKEN}").get())
        #expect(port == ClusterTerms.RESTAccess(url: "http://login:6820", user: "train", token: "HPC_TOKEN"))
        let socket = try #require(try Self.rest("{socket: /run/slurmrestd.socket}").get())
        #expect(socket == ClusterTerms.RESTAccess(url: "http://localhost", socket: "/run/slurmrestd.socket", token: "SLURM_JWT"))
    }

    @Test(
        arguments: [
            ("{}", "either 'url' or 'socket'"), ("{url: 'http://a', socket: /b}", "either 'url' or 'socket'"),
            ("{socket: b}", "absolute path"), ("{url: ftp://a}", "http"), ("{url: 'http://a', token: 'no name'}", "token"),
        ])
    func whatIsWrongIsTold(_ text: String, _ words: String) throws {
        guard case .failure(let errors) = try Self.rest(text) else {
            Issue.record("\(text) was taken")
            return
        }
        #expect("\(errors)".contains(words), "\(errors)")
    }
}
