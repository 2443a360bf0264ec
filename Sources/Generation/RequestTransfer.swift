import EventLoop
import HTTPClient
import JSON

/// One line of requests to a server, one after the other, and what the present one has received.
@LoopActor
final class RequestTransfer {
    /// What a body may take up between requests.
    private static let keptBytesMax = 64 << 10

    let request: PumpedRequest
    private let streams: Bool
    private(set) var body: [UInt8] = []
    /// Present while the answer comes as a stream.
    private(set) var stream: StreamAssembly?
    private var isTooLong = false
    /// Whether the answer was whole when `noteWhole` was called last.
    private var wasWhole = false

    /// What is asked at present, and of whom; the driver's business.
    var server: GenerationServer?
    var asked: GenerationDriver.Asked?
    var startedAt: Int64 = 0
    var startedNanoseconds: UInt64 = 0

    /// - Parameter streams: whether answers that look like streams are put together as they come.
    init(url: String, apiKey: String?, timeoutMilliseconds: Int, streams: Bool) throws(HTTPClientError) {
        var headers = [(name: "Content-Type", value: "application/json")]
        if let apiKey { headers.append((name: "Authorization", value: "Bearer " + apiKey)) }
        request = try PumpedRequest(url: url, headers: headers, timeoutMilliseconds: timeoutMilliseconds)
        self.streams = streams
        request.onBody = { [unowned self] piece in take(piece) }
    }

    /// Makes ready for another request.
    func prepare(_ body: [UInt8]) {
        if self.body.capacity > Self.keptBytesMax { self.body = [] } else { self.body.removeAll(keepingCapacity: true) }
        stream = nil
        isTooLong = false
        wasWhole = false
        request.prepare(body)
    }

    /// True where the whole answer was there at the last call already, and the server just does not end it.
    func noteWhole() -> Bool {
        defer { wasWhole = stream?.isDone == true }
        return wasWhole && stream?.isDone == true
    }

    private func take(_ piece: UnsafeRawBufferPointer) -> Bool {
        guard let first = piece.first else { return true }
        if streams, body.isEmpty, stream == nil, request.status < 300, first != UInt8(ascii: "{"), first != UInt8(ascii: "<") {
            stream = StreamAssembly()
        }
        if stream != nil {
            stream?.feed(piece)
            return stream?.problem == nil && stream?.isTooLong == false
        }
        guard body.count + piece.count <= GenerationLimits.answerBytesMax else {
            isTooLong = true
            return false
        }
        body.append(contentsOf: piece)
        return true
    }

    /// What came of the request.
    func result(_ ending: PumpedRequest.Ending) -> Result<GeneratedAnswer, GenerationFailure> {
        let status = request.status
        if isTooLong || stream?.isTooLong == true {
            return .failure(
                GenerationFailure(.tooLong, "the answer has more than \(GenerationLimits.answerBytesMax) bytes", status: status))
        }
        if var stream {
            stream.finish()
            self.stream = stream
            if let problem = stream.problem { return .failure(GenerationFailure(.garbage, problem, status: status)) }
            // What comes of the connection after that is of no interest.
            if stream.isDone { return .success(stream.answer) }
        }
        switch ending {
        case .done: break
        case .unreachable(let text): return .failure(GenerationFailure(.unreachable, text))
        case .timedOut(let text): return .failure(GenerationFailure(.timeout, text))
        case .noHTTP(let text): return .failure(GenerationFailure(.garbage, "the server speaks no HTTP: \(text)"))
        case .closed(let text): return .failure(GenerationFailure(.closed, text))
        }
        guard (200..<300).contains(status) else { return .failure(statusFailure(status)) }
        if let stream {
            guard stream.isComplete else {
                return .failure(GenerationFailure(.closed, "the stream ended before the answer did", status: status))
            }
            return .success(stream.answer)
        }
        // The parser would put signs of replacement into the text, which nobody would see again.
        guard String(validating: body, as: UTF8.self) != nil else {
            return .failure(GenerationFailure(.garbage, "the answer is no UTF-8, so no completion: \(excerpt(body))", status: status))
        }
        // Why it is none is of less use than what stands there, which the message shows.
        guard let document = try? JSONParser.parse(body, options: .python), let answer = GeneratedAnswer(body: document) else {
            let text = body.isEmpty ? "nothing" : excerpt(body)
            return .failure(GenerationFailure(.garbage, "the server answered \(status) with no completion: \(text)", status: status))
        }
        return .success(answer)
    }

    private func statusFailure(_ status: Int) -> GenerationFailure {
        let text = "the server answered \(status): \(body.isEmpty ? "nothing" : excerpt(body))"
        switch status {
        case 429, 503: return GenerationFailure(.busy, text, status: status)
        case 408, 425, 500...: return GenerationFailure(.serverError, text, status: status)
        case 300..<400: return GenerationFailure(.refused, text + " (redirects are not followed)", status: status)
        default: return GenerationFailure(.refused, text, status: status)
        }
    }
}
