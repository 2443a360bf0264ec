import APITypes
import JSON

/// The end of a command that could not do what was asked: what to print on standard error and how to exit.
struct CommandFailure: Error {
    var status: ExitStatus
    /// Lines for standard error; the first is led by the program's name. Empty where all has been said already.
    var lines: [String]
    /// The problem as the daemon sent it, for `--json`.
    var document: [UInt8]?

    init(_ status: ExitStatus, _ lines: String..., document: [UInt8]? = nil) {
        self.status = status
        self.lines = lines
        self.document = document
    }

    /// Faults that are printed; `--json` has all that the daemon lists.
    private static let faultsMax = 25

    /// The daemon's refusal in words: `title: detail`, then each fault of a document on a line of its own.
    ///
    /// - Parameter source: The name of the file that was sent, which leads the faults that lie in it.
    init(httpStatus: Int, body: [UInt8], source: String? = nil) {
        status = ExitStatus(httpStatus: httpStatus)
        document = body
        do {
            let problem = try ProblemView(decoding: JSONParser.parse(body))
            let detail = problem.detail.map { ": \($0)" } ?? ""
            lines = ["\(problem.title)\(detail)"] + problem.errors.prefix(Self.faultsMax).map { Self.line($0, source: source) }
            if problem.errors.count > Self.faultsMax { lines.append("… and \(problem.errors.count - Self.faultsMax) more") }
        } catch {
            // Something that is not the daemon has answered, such as a proxy.
            let text = String(decoding: body.prefix(200), as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
            lines = ["the server answered with HTTP status \(httpStatus)" + (text.isEmpty ? "" : ": \(text)")]
        }
    }

    private static func line(_ error: ProblemError, source: String?) -> String {
        var place = source ?? ""
        if let line = error.line { place += (place.isEmpty ? "line " : ":") + String(line) }
        let parts = [place, error.pointer, error.detail].filter { !$0.isEmpty }
        return parts.joined(separator: ": ")
    }
}
