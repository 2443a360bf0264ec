import Glibc
import Terminal

/// The loop of the full screen: reads keys, and draws at most ten times a second.
struct TopSession {
    private static let frame: Duration = .milliseconds(100)

    let feed: TopFeed
    let address: String

    /// Returns when the user leaves; the terminal must have been taken.
    func run() {
        var painter = ScreenPainter()
        var parser = KeyParser()
        let clock = ContinuousClock()
        var nextFrame = clock.now
        feed.start()
        while true {
            if clock.now >= nextFrame {
                if FullScreen.takeRedrawRequest() { painter.forget() }
                draw(&painter)
                nextFrame = clock.now + Self.frame
            }
            guard let bytes = Self.input(within: nextFrame - clock.now) else { return }
            // Where nothing follows an escape it was the key and no sequence.
            for key in bytes.isEmpty ? parser.flush() : parser.keys(in: bytes) {
                switch feed.update({ $0.press(key) }) {
                case .quit: return
                case .redraw: painter.forget()
                case .perform(let action): feed.perform(action)
                case .load: feed.hurry()
                case nil: break
                }
            }
        }
    }

    private func draw(_ painter: inout ScreenPainter) {
        let size = Output.terminal.size ?? (80, 24)
        let model = feed.update { model in
            let screen = TopScreen(model: model, address: address, now: Moment.now())
            model.limitOffset(lines: screen.pageLines(columns: size.columns), height: size.rows - 3)
            return model
        }
        let lines = TopScreen(model: model, address: address, now: Moment.now()).lines(columns: size.columns, rows: size.rows)
        Output.write(painter.frame(lines, columns: size.columns, rows: size.rows, coloured: Output.terminal.wantsColour))
    }

    /// Bytes that were typed until the time is over; empty where there were none, `nil` where the terminal is gone.
    private static func input(within time: Duration) -> [UInt8]? {
        var watched = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        let milliseconds = Int32(max(1, time / .milliseconds(1)))
        let count = poll(&watched, 1, milliseconds)
        // A signal has come, such as of a new size.
        if count < 0 { return errno == EINTR ? [] : nil }
        if count == 0 { return [] }
        var buffer = [UInt8](repeating: 0, count: 1024)
        let length = read(STDIN_FILENO, &buffer, buffer.count)
        if length < 0 { return errno == EINTR || errno == EAGAIN ? [] : nil }
        return length == 0 ? nil : Array(buffer[..<length])
    }
}
