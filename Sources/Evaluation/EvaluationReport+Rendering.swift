import JSON

extension EvaluationReport {
    /// The tables as NeMo-Skills prints them: the name centred in dashes, columns parted by ` | `, two empty lines behind each table.
    public var text: String {
        sections.map { section in
            let lines = Self.lines(section.modes)
            let widths = (lines.first ?? []).indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
            let total = widths.reduce(0, +) + (widths.count - 1) * 3
            let rows = lines.map { cells in zip(cells, widths).map { Self.padded($0, to: $1) }.joined(separator: " | ") }
            return ([Self.centred(" \(section.name) ", width: total)] + rows).joined(separator: "\n") + "\n\n\n"
        }.joined()
    }

    /// One table in Markdown for each section.
    public var markdown: String {
        sections.map { section in
            let lines = Self.lines(section.modes)
            let isNumber = (lines.first ?? []).indices.map { $0 > 0 }
            let rule = "|" + isNumber.map { $0 ? " ---: |" : " --- |" }.joined()
            var rows = lines.map { "| " + $0.map(Self.escapedForMarkdown).joined(separator: " | ") + " |" }
            rows.insert(rule, at: min(1, rows.count))
            return (["### \(Self.escapedForMarkdown(section.name))", ""] + rows).joined(separator: "\n") + "\n"
        }.joined(separator: "\n")
    }

    /// All tables as one table of comma-separated values (RFC 4180); percentages as plain numbers.
    public var csv: String {
        var columns: [String] = []
        for mode in sections.flatMap(\.modes) {
            for (column, _) in mode.values where !columns.contains(column) { columns.append(column) }
        }
        var lines = [["benchmark", "evaluation_mode"] + columns]
        for section in sections {
            for mode in section.modes {
                lines.append([section.name, mode.name] + columns.map { mode.value($0).map(Self.plain) ?? "" })
            }
        }
        return lines.map { $0.map(Self.escapedForCSV).joined(separator: ",") + "\r\n" }.joined()
    }

    /// `{benchmark: {mode: {metric: value}}}` for all k, as `metrics.json` of NeMo-Skills.
    public var json: JSONValue {
        var tables = JSONObject()
        for section in sections {
            var modes = JSONObject()
            for mode in section.allModes {
                var values = JSONObject()
                for (column, value) in mode.values {
                    switch value {
                    case .count(let count): values[column] = .int(Int64(count))
                    case .percent(let percent, let deviation):
                        values[column] = .double(percent)
                        if let deviation { values[column + "_std_dev_across_runs"] = .double(deviation) }
                    }
                }
                modes[mode.name] = .object(values)
            }
            tables[section.name] = .object(modes)
        }
        return .object(tables)
    }

    // MARK: - Parts

    /// The header and the rows of a table as cells; all rows of a section have the same columns.
    private static func lines(_ modes: [Mode]) -> [[String]] {
        guard let first = modes.first else { return [] }
        return [["evaluation_mode"] + first.values.map(\.column)] + modes.map { [$0.name] + $0.values.map { shown($0.value) } }
    }

    private static func shown(_ value: Value) -> String {
        switch value {
        case .count(let count): "\(count)"
        case .percent(let percent, nil): DecimalText.fixed(percent, decimals: 2) + "%"
        case .percent(let percent, let deviation?):
            "\(DecimalText.fixed(percent, decimals: 2))% ± \(DecimalText.fixed(deviation, decimals: 2))%"
        }
    }

    private static func plain(_ value: Value) -> String {
        switch value {
        case .count(let count): "\(count)"
        case .percent(let percent, _): DecimalText.fixed(percent, decimals: 4)
        }
    }

    private static func padded(_ text: String, to width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }

    /// Where the dashes cannot be dealt out evenly, Python gives the odd one to the left of a text of odd width.
    private static func centred(_ text: String, width: Int) -> String {
        let room = max(0, width - text.count)
        let left = room / 2 + (room & width & 1)
        return String(repeating: "-", count: left) + text + String(repeating: "-", count: room - left)
    }

    private static func escapedForMarkdown(_ text: String) -> String {
        text.reduce(into: "") { $0 += $1 == "|" ? "\\|" : $1.isNewline ? " " : String($1) }
    }

    private static func escapedForCSV(_ text: String) -> String {
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\"" + text.reduce(into: "") { $0 += $1 == "\"" ? "\"\"" : String($1) } + "\""
    }
}
