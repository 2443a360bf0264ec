import APITypes
import Domain
import Terminal

/// The picture of the machine and its jobs.
struct TopScreen {
    /// A daemon that is silent for longer is not well, though its connection may stand.
    private static let silenceSecondsMax = 5.0
    /// The first ones matter most, as narrow screens cut the last.
    private static let hints = "q quit  ? help  ↑↓ select  ⏎ details  p pause  c cancel  +- priority  / filter"
    private static let help: [(keys: String, meaning: String)] = [
        ("↑ ↓  j k", "select a job; Page Up, Page Down, Home and End too"), ("Enter", "show all of the job, and why it is where it is"),
        ("p", "pause the job, or resume a paused one"), ("c", "cancel the job; asks before it does"),
        ("+ -", "raise or lower the job's priority by \(TopModel.priorityStep)"),
        ("/", "show only jobs whose name, project, state or reason holds a text; Escape shows all"),
        ("Control-L", "draw the screen anew"), ("?", "this list"), ("q", "leave; jobs go on"),
    ]

    let model: TopModel
    /// The daemon's address.
    let address: String
    let now: Timestamp

    /// The whole screen: exactly `rows` lines.
    func lines(columns: Int, rows: Int) -> [StyledText] {
        let body = max(0, rows - 3)
        let middle: [StyledText]
        switch model.mode {
        case .help: middle = page(helpLines, height: body)
        case .details: middle = page(detailLines(columns: columns), height: body)
        case .list, .filter, .confirmation: middle = list(columns: columns, height: body)
        }
        let blank = [StyledText](repeating: "", count: max(0, body - middle.count))
        return Array(([title, totals] + middle + blank).prefix(max(0, rows - 1))) + [footer]
    }

    /// Everything, for where there is no screen.
    func plainLines(columns: Int?) -> [StyledText] {
        let sections = TopSections(model: model, columns: columns).all.filter { $0.height > 0 }
        return [title, totals]
            + sections.flatMap { section in
                [""] + (section.rows.isEmpty ? [section.nothing ?? ""] : [section.heading] + section.rows)
            }
    }

    /// The lines of the page that is open, to know how far it can be moved.
    func pageLines(columns: Int) -> Int {
        switch model.mode {
        case .help: helpLines.count
        case .details: detailLines(columns: columns).count
        case .list, .filter, .confirmation: 0
        }
    }

    // MARK: The edges

    private var title: StyledText {
        let time = now.description.dropFirst(11).prefix(8)
        let title = StyledText("anneal top", .bold) + StyledText("  \(address)  \(time)Z", .dim)
        if let lost = model.lostSince {
            return title + StyledText("  connection lost, retrying (\(seconds(since: lost)) s)", .yellow)
        }
        guard (now - model.snapshot.takenAt).inSeconds > Self.silenceSecondsMax else { return title }
        return title + StyledText("  no answer for \(seconds(since: model.snapshot.takenAt)) s", .yellow)
    }

    private func seconds(since moment: Timestamp) -> Int { max(0, Int((now - moment).inSeconds)) }

    private var totals: StyledText {
        let view = model.snapshot.gpus
        let held = view.data.count { $0.state == "held" }
        let memory = "\(NumberText.bytes(view.memoryBytes.held)) of \(NumberText.bytes(view.memoryBytes.total))"
        return StyledText("held: ", .dim)
            + StyledText("GPUs \(held)/\(view.data.count) · CPUs \(view.cpus.held)/\(view.cpus.total) · memory \(memory)")
    }

    private var footer: StyledText {
        switch model.mode {
        case .confirmation(let action): return StyledText("cancel \(action.name)? y/n", .yellow)
        case .filter:
            return StyledText("filter: \(model.filter)") + StyledText(" ", .reverse) + StyledText("  Enter keeps it, Escape ends it", .dim)
        case .help, .details: return model.message ?? StyledText("q back  ↑↓ move", .dim)
        case .list:
            if let message = model.message { return message }
            let filter = model.filter.isEmpty ? StyledText("") : StyledText("filter: \(model.filter)  ", .yellow)
            return filter + StyledText(Self.hints, .dim)
        }
    }

    // MARK: The middle

    private func list(columns: Int, height: Int) -> [StyledText] {
        // A column stays free for the mark of the selection, which must be seen without colours too.
        let sections = TopSections(model: model, columns: columns - 1).all.filter { $0.height > 0 }
        let wanted = sections.map(\.height)
        // Blank lines between the parts only where nothing has to give way to them.
        let isLoose = wanted.reduce(0, +) + sections.count <= height
        let shares = RowShares.divide(isLoose ? height - sections.count : height, wanted: wanted)
        return zip(sections, shares).flatMap { section, share in (isLoose ? [""] : []) + show(section, height: share, columns: columns) }
    }

    private func show(_ section: TopSection, height: Int, columns: Int) -> [StyledText] {
        guard height > 0 else { return [] }
        guard !section.rows.isEmpty else { return [" " + (section.nothing ?? "")] }
        let selected = model.selected.flatMap { row in section.ids.firstIndex(of: row.id) }
        var lines = section.rows.enumerated().map { index, line in
            guard index == selected else { return " " + line }
            return ("▸" + line).padded(to: columns, alignment: .left).restyled(.reverse)
        }
        var room = height - 1
        let isCut = lines.count > room
        // The last row says how many are not shown, where there is a row for that.
        if isCut, room > 1 { room -= 1 }
        let start = RowShares.windowStart(count: lines.count, height: room, selected: selected)
        let hidden = lines.count - room
        lines = Array(lines[start..<min(lines.count, start + room)])
        if isCut, height > 2 { lines.append(StyledText("   … \(hidden) more", .dim)) }
        return [" " + section.heading] + lines
    }

    private func page(_ lines: [StyledText], height: Int) -> [StyledText] {
        Array(lines.dropFirst(min(model.offset, max(0, lines.count - height))).prefix(height))
    }

    private var helpLines: [StyledText] {
        let width = Self.help.reduce(0) { max($0, $1.keys.displayWidth) }
        return ["", StyledText("Keys", .bold)]
            + Self.help.map {
                StyledText("  ") + StyledText($0.keys, .cyan).padded(to: width, alignment: .left) + StyledText("  \($0.meaning)")
            }
    }

    private func detailLines(columns: Int) -> [StyledText] {
        guard let details = model.details else { return ["", StyledText("asking …", .dim)] }
        var job = details.job
        // The explanation says it too, and more.
        job.message = nil
        let sheet = JobSheet(job: job, metrics: details.metrics).lines(columns: columns)
        let lines = [""] + sheet.prefix(1) + ExplainText.lines(details.explanation) + [""] + sheet.dropFirst()
        // Long texts are wrapped rather than cut: they are what was asked for.
        return lines.flatMap { $0.wrapped(to: columns) }
    }
}
