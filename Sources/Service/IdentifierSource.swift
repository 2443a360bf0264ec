import Domain
import EventLoop
import Synchronization

/// Makes identifiers from any thread, each sorting after those made before it.
public final class IdentifierSource: Sendable {
    private let generator = Mutex(IdentifierGenerator())

    public init() {}

    public func next(_ kind: IdentifierKind) -> String {
        let now = Timestamp(milliseconds: SystemTime.now())
        return generator.withLock { generator in
            var random = SystemRandomNumberGenerator()
            return generator.next(kind, at: now, using: &random)
        }
    }
}
