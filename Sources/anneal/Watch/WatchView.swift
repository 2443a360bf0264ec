import Terminal

/// How a watched experiment is shown.
protocol WatchView {
    mutating func begin(_ model: WatchModel)
    mutating func show(_ shared: SharedModel)
    mutating func end(_ model: WatchModel)
}

/// Draws the experiment in place.
struct LiveWatchView: WatchView {
    private var region = LiveRegion()
    private var lastFrame: [StyledText] = []
    private var lastSize: (columns: Int, rows: Int) = (0, 0)

    mutating func begin(_ model: WatchModel) { LiveCursor.hide() }

    mutating func show(_ shared: SharedModel) {
        let size = Output.terminal.size ?? (80, 24)
        // Notices are for those who see no picture.
        let model = shared.update { model in
            _ = model.takeNotices()
            return model
        }
        let frame = WatchScreen(model: model, columns: size.columns, rows: size.rows).lines()
        guard frame != lastFrame || size != lastSize else { return }
        lastFrame = frame
        lastSize = size
        Output.write(region.frame(frame, columns: size.columns, rows: size.rows, coloured: Output.terminal.wantsColour))
    }

    mutating func end(_ model: WatchModel) { LiveCursor.show() }
}

/// Prints a line for each change, with the time of day in UTC at which it happened.
struct PlainWatchView: WatchView {
    mutating func begin(_ model: WatchModel) {
        print("\(model.experiment.name) \(model.experiment.state)  \(model.experiment.id)", at: nil)
    }

    mutating func show(_ shared: SharedModel) {
        for notice in shared.update({ $0.takeNotices() }) { print(notice.text, at: notice.at) }
    }

    mutating func end(_ model: WatchModel) { print("\(model.experiment.name) \(model.experiment.state)", at: model.experiment.finishedAt) }

    private func print(_ text: String, at moment: String?) {
        let time = (moment ?? Moment.now().description).dropFirst(11).prefix(8)
        Output.line(StyledText("\(time)Z ", .dim) + StyledText(text))
    }
}
