import APITypes
import Domain
import Terminal

/// What a key asks the daemon to do.
struct TopAction: Sendable, Equatable {
    enum Verb: String {
        case pause, resume, cancel, setPriority
    }

    var verb: Verb
    var jobID: String
    var name: String
    /// For `setPriority`.
    var priority = 0
}

/// A job that can be selected.
struct TopRow: Sendable, Equatable {
    var id: String
    var name: String
    var state: String
    var priority: Int
}

/// What the screen shows, and what keys do to it.
struct TopModel: Sendable {
    enum Mode: Sendable, Equatable {
        case list, help, filter
        case details(jobID: String)
        case confirmation(TopAction)
    }

    /// What a key asks of the program.
    enum Request: Sendable, Equatable {
        case quit, redraw
        case perform(TopAction)
        /// Details of a job are wanted.
        case load
    }

    /// A job's priority moves by so much with a key.
    static let priorityStep = 5
    private static let page = 10

    private(set) var snapshot: TopSnapshot
    private(set) var mode = Mode.list
    private(set) var filter = ""
    /// Since when the daemon has not answered.
    private(set) var lostSince: Timestamp?
    /// What the last key came to, until the next.
    private(set) var message: StyledText?
    private(set) var details: TopDetails?
    /// The first line of the details or the help that is shown.
    private(set) var offset = 0
    private var selectedIndex = 0
    private var selectedID: String?

    init(_ snapshot: TopSnapshot) {
        self.snapshot = snapshot
        selectedID = rows.first?.id
    }

    // MARK: What is shown

    var active: [JobView] { snapshot.active.filter { passes([$0.fullName, $0.project, $0.state, $0.kind]) } }
    var queue: [QueueEntryView] {
        snapshot.queue.filter { passes(["\($0.experiment)/\($0.name)", $0.project, $0.state, $0.reason ?? ""]) }
    }
    var failed: [JobView] { snapshot.failed.filter { passes([$0.fullName, $0.project, $0.state, $0.reason ?? ""]) } }

    /// The jobs in the order of the screen.
    var rows: [TopRow] {
        active.map(Self.row)
            + queue.map { TopRow(id: $0.jobID, name: "\($0.experiment)/\($0.name)", state: $0.state, priority: $0.priority) }
            + failed.map(Self.row)
    }

    var selected: TopRow? { rows.first { $0.id == selectedID } }

    private static func row(_ job: JobView) -> TopRow {
        TopRow(id: job.id, name: job.fullName, state: job.state, priority: job.priority)
    }

    private func passes(_ texts: [String]) -> Bool {
        let wanted = filter.lowercased()
        return wanted.isEmpty || texts.contains { $0.lowercased().contains(wanted) }
    }

    // MARK: What the daemon tells

    mutating func update(_ snapshot: TopSnapshot) {
        self.snapshot = snapshot
        if lostSince != nil { message = StyledText("the daemon answers again", .green) }
        lostSince = nil
        keepSelection()
    }

    mutating func lose(at moment: Timestamp) { lostSince = lostSince ?? moment }

    mutating func show(_ details: TopDetails) {
        if case .details(details.job.id) = mode { self.details = details }
    }

    mutating func tell(_ message: StyledText) { self.message = message }

    /// A job that is gone leaves the selection to what stands in its place.
    private mutating func keepSelection() {
        let rows = rows
        if let index = rows.firstIndex(where: { $0.id == selectedID }) {
            selectedIndex = index
        } else {
            selectedIndex = min(selectedIndex, max(0, rows.count - 1))
            selectedID = rows.isEmpty ? nil : rows[selectedIndex].id
        }
    }

    // MARK: Keys

    mutating func press(_ key: Key) -> Request? {
        message = nil
        if key == .redraw { return .redraw }
        switch mode {
        case .list: return pressInList(key)
        case .filter: return pressInFilter(key)
        case .help, .details: return pressInPages(key)
        case .confirmation(let action):
            mode = .list
            if key == .character("y") || key == .character("Y") { return .perform(action) }
            message = StyledText("\(action.name) goes on", .dim)
            return nil
        }
    }

    private mutating func pressInList(_ key: Key) -> Request? {
        switch key {
        case .character("q"): return .quit
        case .up, .character("k"): move(by: -1)
        case .down, .character("j"): move(by: 1)
        case .pageUp: move(by: -Self.page)
        case .pageDown: move(by: Self.page)
        case .home, .character("g"): move(by: -rows.count)
        case .end, .character("G"): move(by: rows.count)
        case .enter, .right: return openDetails()
        case .character("?"), .character("h"): open(.help)
        case .character("/"): open(.filter)
        case .escape: setFilter("")
        case .character("p"): return pauseOrResume()
        case .character("c"): if let row = selected { mode = .confirmation(TopAction(verb: .cancel, jobID: row.id, name: row.name)) }
        case .character("+"), .character("="): return changePriority(by: Self.priorityStep)
        case .character("-"), .character("_"): return changePriority(by: -Self.priorityStep)
        default: break
        }
        return nil
    }

    private mutating func pressInFilter(_ key: Key) -> Request? {
        switch key {
        case .enter, .up, .down: mode = .list
        case .escape:
            setFilter("")
            mode = .list
        case .backspace: setFilter(String(filter.dropLast()))
        case .character(let character): setFilter(filter + String(character))
        default: break
        }
        return nil
    }

    private mutating func pressInPages(_ key: Key) -> Request? {
        switch key {
        case .up, .character("k"): offset = max(0, offset - 1)
        case .down, .character("j"): offset += 1
        case .pageUp: offset = max(0, offset - Self.page)
        case .pageDown, .character(" "): offset += Self.page
        case .home, .character("g"): offset = 0
        case .character("q"), .character("?"), .character("h"), .escape, .enter, .left: open(.list)
        default: break
        }
        return nil
    }

    private mutating func open(_ mode: Mode) {
        self.mode = mode
        offset = 0
        details = nil
    }

    private mutating func openDetails() -> Request? {
        guard let row = selected else { return nil }
        open(.details(jobID: row.id))
        return .load
    }

    private mutating func move(by rowsDown: Int) {
        let rows = rows
        guard !rows.isEmpty else { return }
        selectedIndex = min(rows.count - 1, max(0, selectedIndex + rowsDown))
        selectedID = rows[selectedIndex].id
    }

    private mutating func setFilter(_ filter: String) {
        self.filter = filter
        keepSelection()
    }

    /// Keeps the offset where the pages have lines.
    mutating func limitOffset(lines: Int, height: Int) { offset = min(offset, max(0, lines - height)) }

    private func pauseOrResume() -> Request? {
        selected.map { row in
            .perform(TopAction(verb: row.state == "paused" ? .resume : .pause, jobID: row.id, name: row.name))
        }
    }

    /// The new priority stands on the screen at once, so that the next press goes on from it.
    private mutating func changePriority(by step: Int) -> Request? {
        guard let row = selected else { return nil }
        let priority = min(100, max(0, row.priority + step))
        for index in snapshot.queue.indices where snapshot.queue[index].jobID == row.id { snapshot.queue[index].priority = priority }
        for index in snapshot.active.indices where snapshot.active[index].id == row.id { snapshot.active[index].priority = priority }
        return .perform(TopAction(verb: .setPriority, jobID: row.id, name: row.name, priority: priority))
    }
}
