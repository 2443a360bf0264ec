extension AsyncStream {
    /// The next element that satisfies the condition, awaited on the caller's actor.
    func awaited(
        isolation: isolated (any Actor)? = #isolation, where isWanted: (Element) -> Bool = { _ in true }
    ) async -> Element? {
        var iterator = makeAsyncIterator()
        while let element = await iterator.next(isolation: isolation) {
            if isWanted(element) { return element }
        }
        return nil
    }
}
