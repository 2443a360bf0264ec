import EventLoop
import Glibc
import Testing

@Suite(.timeLimit(.minutes(1)))
struct WatcherTests {
    private static func socketPair() -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        return (ends[0], ends[1])
    }

    private static func temporaryFolder() -> String {
        var template = Array("/tmp/eventloop-XXXXXX".utf8CString)
        return String(cString: mkdtemp(&template))
    }

    @Test @LoopActor func aDescriptorWatcherTellsOfBytesAndOfTheEnd() async throws {
        let (left, right) = Self.socketPair()
        defer { close(left) }
        let (seen, sink) = AsyncStream.makeStream(of: DescriptorWatcher.Events.self)
        var watcher: DescriptorWatcher?
        watcher = try DescriptorWatcher(descriptor: left, events: [.readable, .disconnect]) { events in
            // What stays as it is is told of again in each turn of the loop, which nobody else then gets much of.
            var byte: UInt8 = 0
            if events.contains(.disconnect) { watcher?.cancel() } else { _ = read(left, &byte, 1) }
            sink.yield(events)
        }
        #expect(write(right, "x", 1) == 1)
        #expect(await seen.awaited { $0.contains(.readable) } == .readable)
        close(right)
        #expect(await seen.awaited { $0.contains(.disconnect) } == [.readable, .disconnect])
    }

    @Test @LoopActor func aDescriptorIsWatchedOnceAtATime() throws {
        let (left, right) = Self.socketPair()
        defer {
            close(left)
            close(right)
        }
        let watcher = try DescriptorWatcher(descriptor: left, events: .readable) { _ in }
        #expect(throws: UVError.self) { _ = try DescriptorWatcher(descriptor: left, events: [.readable]) { _ in } }
        watcher.cancel()
        watcher.cancel()
        try DescriptorWatcher(descriptor: left, events: .readable) { _ in }.cancel()
    }

    @Test @LoopActor func aPlainFileCannotBeWatchedAsADescriptor() {
        let file = open("/etc/hostname", O_RDONLY)
        defer { close(file) }
        let error = #expect(throws: UVError.self) { _ = try DescriptorWatcher(descriptor: file, events: [.readable]) { _ in } }
        #expect(error?.name == "EPERM")
        #expect(error?.call == "uv_poll_init")
    }

    @Test @LoopActor func aPathWatcherNamesTheFileThatCameIntoItsFolder() async throws {
        let folder = Self.temporaryFolder()
        let (seen, sink) = AsyncStream.makeStream(of: String?.self)
        let watcher = try PathWatcher(path: folder) { sink.yield($0) }
        close(open("\(folder)/exit.json", O_CREAT | O_WRONLY, 0o600))
        #expect(await seen.awaited() == "exit.json")
        watcher.cancel()
        unlink("\(folder)/exit.json")
        rmdir(folder)
    }

    @Test @LoopActor func aPathWatcherTellsThatAFileGrew() async throws {
        let folder = Self.temporaryFolder()
        let path = "\(folder)/metrics.jsonl"
        let file = open(path, O_CREAT | O_WRONLY, 0o600)
        let (seen, sink) = AsyncStream.makeStream(of: String?.self)
        let watcher = try PathWatcher(path: path) { sink.yield($0) }
        #expect(write(file, "{}\n", 3) == 3)
        #expect(await seen.awaited() == "metrics.jsonl")
        watcher.cancel()
        close(file)
        unlink(path)
        rmdir(folder)
    }

    @Test @LoopActor func aMissingPathIsAnErrorWithTheCallAndTheCode() {
        let error = #expect(throws: UVError.self) { _ = try PathWatcher(path: "/nonexistent/path") { _ in } }
        #expect(error?.call == "uv_fs_event_start")
        #expect(error?.name == "ENOENT")
        #expect(error?.description == "uv_fs_event_start: no such file or directory (ENOENT)")
    }

    @Test @LoopActor func aSignalWatcherGetsItsSignal() async throws {
        let (seen, sink) = AsyncStream.makeStream(of: Void.self)
        let watcher = try SignalWatcher(signal: SIGUSR2) { sink.yield() }
        kill(getpid(), SIGUSR2)
        #expect(await seen.awaited() != nil)
        watcher.cancel()
    }

    @Test @LoopActor func aSignalThatCannotBeCaughtIsRefused() {
        #expect(throws: UVError.self) { _ = try SignalWatcher(signal: SIGKILL) {} }
    }
}
