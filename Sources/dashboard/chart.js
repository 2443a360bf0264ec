// One chart: the curves of one key for all runs, with its legend, summary and table.

import { axisOf, heightOf, xOptions, xText, xValues, yText } from "./axis.js";
import { recorded } from "./curves.js";
import { h, makeTable } from "./dom.js";
import { grouped, number } from "./format.js";
import { marksPlugin } from "./marks.js";
import { align, lowerBound, smooth } from "./series.js";
import { attachPointer } from "./pointer.js";

// Its legend takes HTML and inline styles, which the content security policy forbids; the charts have their own.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);

/** Screen readers are told new figures no more often than this. Milliseconds. */
const SUMMARY_EVERY = 3000;

/** Fewer points, such as those of a validation, are shown as they are: a mean over them would tell of a model that is no more. */
const SMOOTHED_FROM = 12;

/** A chart of one metric key. The panel says when to draw. */
export class Chart {
    /**
     * @param {string} key
     * @param {object} panel Its runs, settings, view, colours and curves.
     */
    constructor(key, panel) {
        this.key = key;
        this.panel = panel;
        this.isVisible = false;
        this.isDirty = true;
        this.lines = [];
        this.crosshair = h("div", { class: "crosshair", hidden: true });
        this.brush = h("div", { class: "brush", hidden: true });
        this.plot = h("div", { class: "plot", "aria-hidden": "true" });
        this.status = h("p", { class: "plot-status" }, "loading…");
        this.legend = h("ul", { class: "legend" });
        this.summary = h("p", { class: "visually-hidden" });
        this.summaryAt = 0;
        this.tableBox = h("div");
        this.details = h("details", {}, h("summary", {}, "Values"), this.tableBox);
        this.details.addEventListener("toggle", () => this.drawTable());
        this.frame = h("div", { class: "plot-frame", tabindex: "0", role: "group", "aria-label": `Chart of ${key}. Plus and minus zoom.` },
            this.plot, this.crosshair, this.brush, this.status);
        const widen = h("button", { type: "button", class: "quiet widen", "aria-pressed": "false", "aria-label": `Enlarge ${key}` }, "⤢");
        widen.addEventListener("click", () => {
            widen.setAttribute("aria-pressed", String(this.node.classList.toggle("wide")));
        });
        this.node = h("figure", { class: "chart" }, h("figcaption", {}, h("h4", {}, key), widen),
            this.frame, this.legend, this.summary, this.details);
        attachPointer(this);
    }

    /** What its x axis shows. */
    get axis() {
        return axisOf(this.key, this.panel.settings.axis);
    }

    /** The curves that can be drawn, with their run. */
    present() {
        const { panel, key } = this;
        return panel.runs.map((run) => ({ run, curve: panel.store.ready(run.id, key) })).filter(({ curve }) => curve?.steps.length);
    }

    /** The lines of one run: the curve as it is, and smoothed over it. */
    linesOf({ run, curve }) {
        const { smoothing, isLog } = this.panel.settings;
        const visible = (value) => (Number.isFinite(value) && (!isLog || value > 0) ? value : NaN);
        const count = recorded(curve, run.keys.get(this.key));
        const smoothed = smoothing > 0 && count >= SMOOTHED_FROM ? smooth(curve.steps, curve.values, smoothing, count) : null;
        const raw = curve.values.map(visible);
        const x = xValues(curve, this.axis, run.origin ?? curve.times[0]);
        return { run, curve, smoothed, x, lines: smoothed ? [raw, smoothed.map(visible)] : [raw] };
    }

    /** Draws what is there. */
    draw() {
        this.isDirty = false;
        this.lines = this.present().map((one) => this.linesOf(one));
        const isEmpty = this.lines.length === 0;
        this.status.hidden = !isEmpty;
        this.status.textContent = this.panel.runs.every((run) => this.panel.store.ready(run.id, this.key)) ? "no points" : "loading…";
        if (!isEmpty) this.drawPlot();
        this.drawLegend();
        this.drawSummary();
        if (this.details.open) this.drawTable();
    }

    drawPlot() {
        const { panel, axis } = this;
        // Kept, since asking for it in every frame would make the browser lay the page out twice.
        this.width ??= this.plot.clientWidth;
        const [from, to] = panel.window(axis);
        // Several runs share the chart's pixels; two of them for a stretch still show every peak, and draw in half the time.
        const stretches = Math.max(120, this.width / (this.lines.length > 2 ? 2 : 1));
        // A little room, so that the marks at either end are seen whole.
        const margin = from < to ? (to - from) * 7 / Math.max(120, this.width) : 1;
        const edges = [from - margin, to + margin];
        const rows = align(this.lines, ...edges, Math.floor(stretches));
        const labels = ["x"];
        const series = {};
        this.lines.forEach(({ run, smoothed }, index) => {
            const colour = panel.colours.runs[run.colour];
            labels.push(`raw ${index}`);
            series[`raw ${index}`] = { color: smoothed ? pale(colour) : colour, strokeWidth: smoothed ? 1 : 1.5 };
            if (!smoothed) return;
            labels.push(`smooth ${index}`);
            series[`smooth ${index}`] = { color: colour, strokeWidth: 2 };
        });
        // A logarithm needs a value above zero; where there is none the axis stays linear.
        const isLog = panel.settings.isLog && rows.some((row) => row.some((value, index) => index > 0 && value > 0));
        const shape = JSON.stringify([labels, isLog, axis]);
        const changing = { file: rows, dateWindow: edges, series, valueRange: isLog ? null : heightOf(rows) };
        if (this.graph && this.shape === shape) {
            this.graph.updateOptions({ ...changing, gridLineColor: panel.colours.grid, axisLineColor: panel.colours.grid });
            return;
        }
        this.shape = shape;
        this.graph?.destroy();
        const { file, ...options } = changing;
        this.graph = new Dygraph(this.plot, file, {
            ...options,
            labels,
            logscale: isLog,
            legend: "never",
            showLabelsOnHighlight: false,
            highlightCircleSize: 0,
            connectSeparatedPoints: true,
            interactionModel: {},
            gridLineColor: panel.colours.grid,
            axisLineColor: panel.colours.grid,
            gridLineWidth: 1,
            rightGap: 6,
            yRangePad: 6,
            axes: {
                x: { ...xOptions(axis), drawGrid: false, pixelsPerLabel: 60, axisLabelWidth: 64 },
                y: { axisLabelWidth: 58, pixelsPerLabel: 26, axisLabelFormatter: (value, _, __, graph) => yText(value, graph.yAxisRange()) },
            },
            plugins: [marksPlugin(this)],
        });
    }

    /** A run's value at the cursor, or its newest. */
    readout({ run, curve, smoothed, x }) {
        const cursor = this.panel.cursorOn(this.axis);
        const known = run.keys.get(this.key);
        if (cursor === null) {
            const isBehind = known && known.last_step > curve.steps.at(-1);
            return isBehind ? { at: null, step: known.last_step, value: Number(known.last) }
                : { at: curve.steps.length - 1, step: curve.steps.at(-1), value: curve.values.at(-1), smoothed: smoothed?.at(-1) };
        }
        let at = lowerBound(x, cursor);
        if (at === x.length || (at > 0 && cursor - x[at - 1] < x[at] - cursor)) at -= 1;
        return { at, step: curve.steps[at], value: curve.values[at], smoothed: smoothed?.[at] };
    }

    drawLegend() {
        const items = this.lines.map((line) => {
            const { at, step, value, smoothed } = this.readout(line);
            const { axis } = this;
            const place = at === null || axis === "step" ? `step ${grouped(step)}` : xText(line.x[at], axis);
            return [line.run, Number.isFinite(smoothed) ? `${number(smoothed)} (${number(value)})` : number(value), place];
        });
        // Elements are kept from one frame to the next: new ones for each would cost more than the curve itself.
        while (this.legend.children.length > items.length) this.legend.lastChild.remove();
        while (this.legend.children.length < items.length) {
            const [swatch, name, place] = ["swatch", "run-name", "place"].map((style) => h("span", { class: style }));
            this.legend.append(h("li", {}, swatch, name, h("b"), place));
        }
        items.forEach(([run, value, place], index) => {
            const [swatch, name, figure, where] = this.legend.children[index].children;
            swatch.className = `swatch run-${run.colour}`;
            setText(name, items.length > 1 ? run.name : "");
            setText(figure, value);
            setText(where, place);
        });
    }

    drawSummary() {
        if (Date.now() - this.summaryAt < SUMMARY_EVERY) return;
        this.summaryAt = Date.now();
        setText(this.summary, this.figures().map(({ run, step, last, least, greatest, odd }) =>
            `${run.name}: ${number(last)} at step ${step}, between ${number(least)} and ${number(greatest)}`
            + `${odd ? `, ${odd} values are not finite` : ""}`).join("; "));
    }

    figures() {
        return this.lines.map(({ run, curve }) => {
            const finite = curve.values.filter(Number.isFinite);
            return {
                run,
                step: curve.steps.at(-1),
                last: curve.values.at(-1),
                least: finite.length ? finite.reduce((one, other) => Math.min(one, other)) : null,
                greatest: finite.length ? finite.reduce((one, other) => Math.max(one, other)) : null,
                odd: curve.values.length - finite.length,
                count: recorded(curve, run.keys.get(this.key)),
            };
        });
    }

    drawTable() {
        if (!this.details.open) return;
        const labels = ["Run", "Step", "Last", "Least", "Greatest", "Points", "Not finite"];
        const { table, body, row } = makeTable(`Last values of ${this.key}`, labels);
        body.append(...this.figures().map(({ run, step, last, least, greatest, odd, count }) =>
            row([run.name, grouped(step), number(last), number(least), number(greatest), grouped(count), String(odd)])));
        this.tableBox.replaceChildren(table);
    }

    /** Moves the cursor's line; null hides it. */
    showCursor() {
        const cursor = this.panel.cursorOn(this.axis);
        this.crosshair.hidden = cursor === null || !this.graph;
        if (!this.crosshair.hidden) {
            const left = this.graph.toDomXCoord(cursor);
            this.crosshair.hidden = left < this.graph.getArea().x;
            this.crosshair.style.transform = `translateX(${left}px)`;
        }
        this.drawLegend();
    }

    /** Gives its memory back. */
    destroy() {
        this.graph?.destroy();
        this.node.remove();
    }
}

function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

function pale(colour) {
    return colour.replace(/^rgb\((.*)\)$/, "rgba($1, 0.38)");
}
