// What happened along a curve: where attempts began, and where checkpoints and evaluations lie on it.

import { isSampled } from "./axis.js";
import { lowerBound } from "./series.js";

/** Curves of so few points are drawn with a dot for each: a line alone would not show where they lie, or nothing at all of one point. */
const FEW = 12;

/** The steps at which a later attempt took over. */
function takeovers(curve) {
    const steps = [];
    for (let index = 1; index < curve.attempts.length; index += 1) {
        if (curve.attempts[index] > curve.attempts[index - 1]) steps.push({ index, number: curve.attempts[index] });
    }
    return steps;
}

function drawAttempts(chart, { drawingContext: pen, dygraph }) {
    const area = dygraph.getArea();
    pen.save();
    pen.strokeStyle = chart.panel.colours.axis;
    pen.fillStyle = chart.panel.colours.axis;
    pen.setLineDash([4, 3]);
    pen.font = "11px system-ui, sans-serif";
    for (const { curve, x } of chart.lines) {
        for (const { index, number } of takeovers(curve)) {
            const left = Math.round(dygraph.toDomXCoord(x[index])) + 0.5;
            if (left < area.x || left > area.x + area.w) continue;
            pen.beginPath();
            pen.moveTo(left, area.y);
            pen.lineTo(left, area.y + area.h);
            pen.stroke();
            pen.fillText(`attempt ${number}`, left + 3, area.y + 10);
        }
    }
    pen.restore();
}

/** Diamonds for checkpoints, filled for the best; triangles for evaluations. */
function outline(pen, kind, x, y) {
    const reach = 5;
    pen.beginPath();
    if (kind === "evaluation") {
        pen.moveTo(x, y - reach);
        pen.lineTo(x + reach, y + reach);
        pen.lineTo(x - reach, y + reach);
    } else {
        pen.moveTo(x, y - reach);
        pen.lineTo(x + reach, y);
        pen.lineTo(x, y + reach);
        pen.lineTo(x - reach, y);
    }
    pen.closePath();
}

function drawDots(chart, { drawingContext: pen, dygraph }) {
    const area = dygraph.getArea();
    pen.save();
    for (const { run, x, lines: [values] } of chart.lines) {
        if (x.length > FEW) continue;
        pen.fillStyle = chart.panel.colours.runs[run.colour];
        values.forEach((value, index) => {
            const left = dygraph.toDomXCoord(x[index]);
            if (!Number.isFinite(value) || left < area.x || left > area.x + area.w) return;
            pen.beginPath();
            pen.arc(left, dygraph.toDomYCoord(value), 3, 0, 2 * Math.PI);
            pen.fill();
        });
    }
    pen.restore();
}

function drawEvents(chart, { drawingContext: pen, dygraph }) {
    const { colours } = chart.panel;
    const area = dygraph.getArea();
    if (isSampled(chart.key)) return;
    pen.save();
    pen.lineWidth = 1.5;
    for (const { run, curve, smoothed, x } of chart.lines) {
        for (const { step, kind, isBest } of run.marks) {
            const at = Math.min(curve.steps.length - 1, lowerBound(curve.steps, step));
            // Marks may lie beyond what a key has recorded: then they are not on its curve.
            if (step > curve.steps.at(-1) || step < curve.steps[0]) continue;
            const value = smoothed?.[at] ?? curve.values[at];
            const left = dygraph.toDomXCoord(x[at]);
            if (!Number.isFinite(value) || left < area.x || left > area.x + area.w) continue;
            outline(pen, kind, left, dygraph.toDomYCoord(value) - (kind === "evaluation" ? 12 : 0));
            pen.fillStyle = isBest || kind === "evaluation" ? colours.runs[run.colour] : colours.surface;
            pen.strokeStyle = colours.mark;
            pen.fill();
            pen.stroke();
        }
    }
    pen.restore();
}

/** A plugin for dygraphs that draws the marks of a chart. */
export function marksPlugin(chart) {
    return {
        activate: () => ({
            willDrawChart: (event) => drawAttempts(chart, event),
            didDrawChart: (event) => {
                drawDots(chart, event);
                drawEvents(chart, event);
            },
        }),
        toString: () => "marks",
    };
}
