import EventLoop

/// Works through many completions, some of them at once.
@LoopActor
public enum CompletionDriver {
    @LoopActor
    private final class Queue {
        private var next = 0
        private let count: Int

        init(count: Int) { self.count = count }

        func take() -> Int? {
            guard next < count else { return nil }
            next += 1
            return next - 1
        }
    }

    /// Asks `client` for `count` completions, at most `concurrency` at once, and hands each over as soon as it is there.
    ///
    /// The first error ends all requests under way and is thrown, as is cancellation of the task.
    public static func run(
        count: Int, concurrency: Int, client: CompletionClient,
        request: @escaping @LoopActor (Int) throws -> (request: CompletionRequest, name: String),
        onAnswer: @escaping @LoopActor (Int, Completion) throws -> Void
    ) async throws {
        let queue = Queue(count: count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<min(concurrency, count) {
                group.addTask { try await work(through: queue, client: client, request: request, onAnswer: onAnswer) }
            }
            try await group.waitForAll()
        }
    }

    /// One line of requests, each sent when the one before it is answered.
    private static func work(
        through queue: Queue, client: CompletionClient, request: @LoopActor (Int) throws -> (request: CompletionRequest, name: String),
        onAnswer: @LoopActor (Int, Completion) throws -> Void
    ) async throws {
        while let index = queue.take() {
            try Task.checkCancellation()
            let next = try request(index)
            try onAnswer(index, try await client.complete(next.request, name: next.name))
        }
    }
}
