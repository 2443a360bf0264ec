import APITypes
import ArgumentParser
import Terminal

/// Curves of one or several jobs in one chart, with a legend below it.
struct PlotChart {
    /// What the x axis stands for.
    enum Axis: String, ExpressibleByArgument, CaseIterable {
        case step
        /// Since the first point of the job that is shown, so that jobs of different days lie over each other.
        case time
    }

    /// More curves than that cannot be told apart.
    static let curvesMax = 12
    /// However long the legend, the curves keep so many rows.
    private static let plotRowsMin = 8

    let axis: Axis
    let isLogarithmic: Bool
    /// From 0, which leaves the curves as they are, to 1.
    let smoothing: Double
    let columns: Int
    /// With axes and legend.
    let rows: Int
    /// Names of the jobs by identifier.
    let names: [String: String]

    func lines(_ all: [CurveColumns]) -> [StyledText] {
        let curves = all.prefix(Self.curvesMax)
        let starts = Dictionary(curves.map { ($0.jobID, $0.times.min() ?? 0) }, uniquingKeysWith: min)
        let series = curves.enumerated().map { index, curve in
            BraillePlot.Series(
                name: curve.key, points: points(curve, start: starts[curve.jobID] ?? 0), style: Curves.styles[index % Curves.styles.count])
        }
        var legend = legend(Array(curves), series).lines(width: columns)
        if all.count > curves.count {
            legend.append(StyledText("and \(all.count - curves.count) more curves; choose among them with --key", .dim))
        }
        var axes = BraillePlot.Axes(isLogarithmic: isLogarithmic, showsLegend: false)
        if axis == .time { axes.xText = { $0 == 0 ? "0" : SpanText.exact(seconds: $0) } }
        return BraillePlot(series, columns: columns, rows: max(Self.plotRowsMin, rows - legend.count), axes: axes).lines() + legend
    }

    private func points(_ curve: CurveColumns, start: Double) -> [(x: Double, y: Double)] {
        var mean = ExponentialMean(memory: smoothing)
        let xs = axis == .step ? curve.steps.map(Double.init) : curve.times.map { $0 - start }
        return zip(xs, curve.values).map { (x: $0, y: mean.add($1.number)) }
    }

    /// What the curves are, with their figures before smoothing.
    private func legend(_ curves: [CurveColumns], _ series: [BraillePlot.Series]) -> Table {
        var columns: [Table.Column] = [
            .init(""), .init("JOB", elastic: true), .init("KEY", elastic: true), .init("LAST", .right), .init("MIN", .right),
            .init("MAX", .right),
        ]
        if smoothing > 0 { columns.append(.init("SMOOTHED", .right)) }
        let notes = curves.map(note)
        if notes.contains(where: { $0.width > 0 }) { columns.append(.init("NOTE", elastic: true)) }
        func text(_ value: Double?) -> StyledText { StyledText(value.map { NumberText.significant($0) } ?? "–") }
        let rows: [[StyledText]] = curves.indices.map { index in
            let curve = curves[index]
            let finite = curve.values.lazy.map(\.number).filter(\.isFinite)
            var row: [StyledText] = [
                StyledText("■", series[index].style), StyledText(names[curve.jobID] ?? curve.jobID), StyledText(curve.key),
                text(curve.values.last?.number), text(finite.min()), text(finite.max()),
            ]
            if smoothing > 0 { row.append(text(series[index].points.last { $0.y.isFinite }?.y)) }
            return row + [notes[index]]
        }
        return Table(columns, rows: rows)
    }

    /// What of a curve the chart does not show.
    private func note(_ curve: CurveColumns) -> StyledText {
        let odd = curve.values.count { !$0.number.isFinite }
        let low = isLogarithmic ? curve.values.count { $0.number <= 0 && $0.number.isFinite } : 0
        let parts = [odd > 0 ? "\(odd) not finite" : nil, low > 0 ? "\(low) not above 0" : nil].compactMap(\.self)
        return StyledText(parts.joined(separator: ", "), .yellow)
    }
}
