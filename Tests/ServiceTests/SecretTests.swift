import Glibc
import Testing

@testable import Service

@Suite struct SecretTests {
    /// A file of this content and mode, removed at the end of `body`.
    private func withFile(_ text: String, mode: mode_t = 0o600, _ body: (String) throws -> Void) throws {
        var path = Array("/tmp/anneal-secrets-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        try #require(descriptor >= 0)
        let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(name) }
        let bytes = Array(text.utf8)
        try #require(write(descriptor, bytes, bytes.count) == bytes.count && fchmod(descriptor, mode) == 0)
        close(descriptor)
        try body(name)
    }

    @Test func aFileIsRead() throws {
        let text = "# comment\n\n A = one two \nB=\"quo#ted\"\r\nC='x=y'\nD=\"half\n"
        try withFile(text) { (path: String) throws -> Void in
            #expect(try SecretFile.read(path) == ["A": "one two", "B": "quo#ted", "C": "x=y", "D": "\"half"])
        }
    }

    @Test(arguments: ["novalue\n", "1X=a\n", "A=\n", "A=\u{0}b\n"])
    func aLineThatIsWrongIsNotQuoted(text: String) throws {
        try withFile(text) { (path: String) throws -> Void in
            let error = #expect(throws: ServiceError.self) { try SecretFile.read(path) }
            #expect(error?.detail.contains("novalue") == false)
        }
    }

    @Test(arguments: [0o640, 0o604, 0o644, 0o610] as [mode_t])
    func rightsOfOthersAreRefused(mode: mode_t) throws {
        try withFile("A=secret1", mode: mode) { (path: String) throws -> Void in
            let error = #expect(throws: ServiceError.self) { try SecretFile.read(path) }
            #expect(error?.detail.contains("chmod 600") == true)
        }
    }

    @Test func theLargestFileIsReadAndOneByteMoreIsNot() throws {
        let value = String(repeating: "x", count: ServiceLimits.secretFileBytesMax - 2)
        try withFile("A=" + value) { (path: String) throws -> Void in
            #expect(try SecretFile.read(path)["A"]?.utf8.count == value.utf8.count)
        }
        try withFile("A=x" + value) { (path: String) throws -> Void in
            #expect(throws: ServiceError.self) { try SecretFile.read(path) }
        }
    }

    @Test func theLargestSecretsOfAJobAreGivenAndOneByteMoreIsNot() throws {
        let value = String(repeating: "x", count: ServiceLimits.secretBytesMax - 1)
        try withFile("A=\(value)\nB=\(value)y\n") { (path: String) throws -> Void in
            let source = SecretSource(SecretConfiguration(file: path))
            #expect(try source.values(of: ["A"]).count == 1)
            #expect(throws: ServiceError.self) { try source.values(of: ["B"]) }
        }
    }

    @Test(arguments: [
        ("no secret", "no secret"), ("a hunter22 b", "a ******** b"), ("hunter22hunter22", "****************"), ("hunter", "******"),
        ("x hunte", "x hunte"), ("hunter2 2", "hunter2 2"), ("hunthunter22", "hunt********"),
    ])
    func valuesAreHidden(text: String, shown: String) { #expect(SecretMask(values: ["hunter22", "tiny"]).hiding(text) == shown) }

    @Test func valuesAreHiddenInJSONAsItWritesThem() {
        var bytes = Array(#"{"a":"x say \"it\" y","b":"plain say \\u"}"#.utf8)
        SecretMask(inJSON: [#"say "it""#, #"say \u"#]).hide(in: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == #"{"a":"x ********** y","b":"plain *******"}"#)
    }

    @Test func linesOfAValueAreHiddenOneByOne() {
        let mask = SecretMask(values: ["first-line\nsecond-line\n"])
        #expect(mask.hiding("{first-line}{second-line}") == "{**********}{***********}")
        #expect(SecretMask(values: ["short"]).isEmpty && mask.contextBytes == 22)
    }
}
