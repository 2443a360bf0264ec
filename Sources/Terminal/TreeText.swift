/// A tree drawn with lines.
public struct TreeText: Sendable {
    public var label: StyledText
    public var children: [TreeText]

    public init(_ label: StyledText, children: [TreeText] = []) {
        self.label = label
        self.children = children
    }

    /// The label, and below it the children with the branches that lead to them.
    public func lines() -> [StyledText] {
        var lines = [label]
        for (index, child) in children.enumerated() {
            let isLast = index == children.count - 1
            for (row, line) in child.lines().enumerated() {
                let branch = row == 0 ? (isLast ? "└─ " : "├─ ") : (isLast ? "   " : "│  ")
                lines.append(StyledText(branch, .dim) + line)
            }
        }
        return lines
    }
}
