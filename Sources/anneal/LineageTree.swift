import APITypes
import JSON
import Terminal

/// A lineage as two trees: what made a thing, and what was made from it.
///
/// A lineage is a graph: a node that is reached again is named and not unfolded a second time.
struct LineageTree {
    private enum Direction {
        case upstream, downstream
    }

    private let view: LineageView
    private let nodes: [String: LineageNode]

    init(_ view: LineageView) {
        self.view = view
        nodes = Dictionary(view.nodes.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    var lines: [StyledText] {
        var seen: Set<String> = [view.id]
        var lines = TreeText(label(view.id, role: nil), children: branches(of: view.id, .upstream, seen: &seen)).lines()
        seen = [view.id]
        let made = branches(of: view.id, .downstream, seen: &seen)
        if !made.isEmpty { lines += ["", StyledText("made from it", .bold)] + made.flatMap { $0.lines() } }
        return lines
    }

    private func branches(of id: String, _ direction: Direction, seen: inout Set<String>) -> [TreeText] {
        let edges = view.edges.filter { (direction == .upstream ? $0.to : $0.from) == id }
        return edges.map { edge in
            let next = direction == .upstream ? edge.from : edge.to
            guard seen.insert(next).inserted else { return TreeText(label(next, role: edge.role) + StyledText(" (see above)", .dim)) }
            return TreeText(label(next, role: edge.role), children: branches(of: next, direction, seen: &seen))
        }
    }

    private func label(_ id: String, role: String?) -> StyledText {
        let lead = role.map { StyledText("\($0): ", .dim) } ?? ""
        guard let node = nodes[id] else { return lead + StyledText(id) }
        var label = lead + StyledText("\(node.type) ") + StyledText(node.name, .bold)
        if let state = node.state { label += " " + StateText.name(state) }
        for (name, value) in node.detail?.object ?? [:] where value.object == nil && value.array == nil {
            label += StyledText(" \(name)=\(value.brief)")
        }
        if let path = node.path { label += StyledText(" \(path)") }
        if let sha256 = node.sha256 { label += StyledText(" sha256:\(sha256.prefix(12))", .dim) }
        return node.id == node.name ? label : label + StyledText(" \(node.id)", .dim)
    }
}
