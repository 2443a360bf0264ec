import Glibc

/// Why a mailbox takes no element.
enum MailboxRefusal: Error { case full, closed }

/// A bounded queue between any threads that put and the threads that wait to take.
///
/// `@unchecked Sendable`: every access to the mutable members is made with `mutex` held.
final class Mailbox<Element: Sendable>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let capacity: Int
    private var elements: [Element] = []
    /// Elements before this index are taken; the array is emptied when all of them are.
    private var head = 0
    private var isClosed = false

    init(capacity: Int) {
        self.capacity = capacity
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    private func withLock<T, E: Error>(_ body: () throws(E) -> T) throws(E) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    func put(_ element: Element) throws(MailboxRefusal) {
        try withLock { () throws(MailboxRefusal) in
            if isClosed { throw .closed }
            if elements.count - head >= capacity { throw .full }
            elements.append(element)
            pthread_cond_signal(condition)
        }
    }

    /// Waits for elements and takes up to `count` of them; empty once the box is closed and drained.
    func take(upTo count: Int) -> [Element] {
        withLock {
            while elements.count == head, !isClosed { pthread_cond_wait(condition, mutex) }
            let end = min(elements.count, head + count)
            let taken = Array(elements[head..<end])
            head = end
            if head == elements.count {
                elements.removeAll(keepingCapacity: true)
                head = 0
            } else if head >= capacity {
                elements.removeFirst(head)
                head = 0
            }
            return taken
        }
    }

    /// How many elements wait.
    var count: Int { withLock { elements.count - head } }

    /// Refuses further elements; what is queued can still be taken.
    func close() {
        withLock {
            isClosed = true
            pthread_cond_broadcast(condition)
        }
    }
}
