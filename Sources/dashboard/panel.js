// The charts of one or several runs: what is drawn, when, and what is read for it.

import { get } from "./api.js";
import { axisOf, xValues } from "./axis.js";
import { Chart } from "./chart.js";
import { CurveStore, recorded } from "./curves.js";
import { toast } from "./dialogs.js";
import { h, shortID } from "./dom.js";
import { isActive } from "./format.js";
import { byImportance, groupOf, isFolded } from "./keys.js";
import { chooseRun } from "./runs.js";
import { Scheduler } from "./scheduler.js";
import { lowerBound } from "./series.js";
import { followEvents } from "./stream.js";
import { chartColours } from "./theme.js";
import { makeToolbar, storedSettings } from "./toolbar.js";

const TYPES = "metric,state,checkpoint,evaluation,gap,end";
const COLOURS = 8;
const LIKELY = "train/loss";
/** Charts of a group that are shown at once; the rest waits behind a line that tells how many there are. */
const FIRST = 9;

/** Replaces children only where they differ: a chart that is put in again would lose its place for the observers. */
function setChildren(parent, nodes) {
    const isSame = nodes.length === parent.children.length && nodes.every((node, index) => node === parent.children[index]);
    if (!isSame) parent.replaceChildren(...nodes);
}

/** The charts of a page. */
export class Panel {
    /**
     * @param {object} options
     * @param {AbortSignal} options.signal
     * @param {string} [options.filter] The first text of the search for keys.
     * @param {function(object): void} [options.onEvent] Told every event but the points.
     * @param {function(string[]): void} [options.onRuns] Told the runs when the reader adds or removes one.
     * @param {boolean} [options.linksToComparison] Whether the page of a comparison is another one.
     */
    constructor({ signal, filter = "", onEvent = () => null, onRuns = () => null, linksToComparison = true }) {
        Object.assign(this, { signal, onEvent, onRuns, filter, linksToComparison });
        this.settings = storedSettings();
        this.runs = [];
        this.charts = new Map();
        this.view = null;
        this.cursor = null;
        this.extents = new Map();
        this.position = undefined;
        this.target = "";
        this.colours = chartColours();
        this.store = new CurveStore(signal, (key) => this.invalidate(this.charts.get(key)));
        this.scheduler = new Scheduler(() => this.due(), signal);
        this.toolbar = makeToolbar(this, filter);
        this.chips = h("ul", { class: "runs", "aria-label": "Runs" });
        this.groups = h("div", { class: "groups" });
        this.empty = h("p", { class: "empty" }, "loading…");
        this.node = h("div", { class: "panel loading" }, this.toolbar.node, this.chips, this.empty, this.groups);
        this.observer = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "200px" });
        this.resizer = new ResizeObserver((entries) => this.resized(entries));
        const themed = () => {
            this.colours = chartColours();
            this.invalidateAll();
        };
        document.addEventListener("themechange", themed, { signal });
        signal.addEventListener("abort", () => this.close());
    }

    /** Reads the first run's keys, draws its first chart, and only then the rest. */
    async start(ids) {
        const [first, ...others] = ids;
        const adding = this.addRun(first);
        // The loss is what readers come for: it is asked for before it is known whether there is one.
        const early = this.store.load([first], [LIKELY]).then(() => this.drawFirst(first, LIKELY)).catch(() => null);
        await adding;
        const [key] = this.keys();
        if (key) await Promise.all([early, this.store.load([first], [key])]).then(() => this.drawFirst(first, key));
        await Promise.all(others.map((id) => this.addRun(id)));
        for (const chart of this.charts.values()) this.observe(chart);
        this.isStarted = true;
        this.node.classList.remove("loading");
        this.retarget();
    }

    drawFirst(job, key) {
        const [run] = this.runs;
        if (this.filter || this.signal.aborted || !run || !this.store.ready(job, key)?.steps.length) return;
        if (!run.keys.has(key)) run.keys.set(key, null);
        this.layOut();
        const chart = this.charts.get(key);
        chart.isVisible = true;
        if (chart.isDirty) chart.draw();
    }

    /** The keys of all runs that the search leaves, sorted. */
    keys() {
        const all = new Set(this.runs.flatMap((run) => [...run.keys.keys()]));
        const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
        return [...all].filter((key) => words.every((word) => key.toLowerCase().includes(word))).sort(byImportance);
    }

    async addRun(id) {
        if (this.runs.some((run) => run.id === id)) return;
        const taken = new Set(this.runs.map((run) => run.colour));
        const free = Array.from({ length: COLOURS }, (_, index) => index).find((index) => !taken.has(index)) ?? this.runs.length % COLOURS;
        const run = { id, name: shortID(id), colour: free, keys: new Map(), marks: [], origin: null, isLive: true };
        this.runs.push(run);
        try {
            const summary = await get(`/v1/jobs/${id}/metrics`, { signal: this.signal });
            for (const key of summary.keys) run.keys.set(key.key, key);
            this.position = Math.min(this.position ?? Infinity, summary.seq);
        } catch (error) {
            this.runs.splice(this.runs.indexOf(run), 1);
            throw error;
        }
        this.layOut();
        this.drawChips();
        if (!this.isStarted) return;
        this.retarget();
        this.loadVisible();
    }

    removeRun(id) {
        this.runs = this.runs.filter((run) => run.id !== id);
        this.store.forget(id);
        this.layOut();
        this.drawChips();
        this.retarget();
        this.invalidateAll();
        this.onRuns(this.runs.map((run) => run.id));
    }

    /** Tells the panel what is known of a run's job. */
    describe(job, marks) {
        const run = this.runs.find(({ id }) => id === job.id);
        if (!run) return;
        const isTwin = this.runs.some((other) => other !== run && other.job?.name === job.name);
        const values = Object.entries(job.matrix ?? {}).map(([key, value]) => `${key}=${value}`).join(" ");
        Object.assign(run, { job, name: isTwin ? `${job.experiment} / ${job.name} ${values || shortID(job.id)}` : job.name });
        run.origin = job.started_at ? Date.parse(job.attempts[0]?.started_at ?? job.started_at) / 1000 : null;
        run.isLive = isActive(job.state);
        if (marks) run.marks = marks;
        if (!this.charts.size) this.layOut();
        this.drawChips();
        this.invalidateAll();
        if (this.isStarted) this.retarget();
    }

    async askForRun() {
        const ids = await chooseRun(this.runs, this.signal);
        try {
            for (const id of ids ?? []) await this.addRun(id);
        } catch (error) {
            toast(error.message, true);
        }
        if (ids) this.onRuns(this.runs.map((run) => run.id));
    }

    drawChips() {
        const signature = JSON.stringify(this.runs.map((run) => [run.id, run.name, run.colour]));
        if (signature === this.chipsDrawn) return;
        this.chipsDrawn = signature;
        this.chips.hidden = this.runs.length < 2;
        const jobs = this.runs.map(({ id }) => id).join(",");
        const link = h("li", { class: "plain" }, h("a", { href: `#/compare?jobs=${jobs}` }, "What they differ in"));
        this.chips.replaceChildren(...this.runs.map((run, index) => h("li", {}, h("span", { class: `swatch run-${run.colour}` }),
            h("a", { href: `#/jobs/${run.id}` }, run.name),
            index === 0 ? null : h("button", { type: "button", class: "quiet", "aria-label": `Remove ${run.name}`,
                on: { click: () => this.removeRun(run.id) } }, "✕"))), ...(this.linksToComparison ? [link] : []));
    }

    /** Puts a chart for each key into its group, and removes those whose key is gone. */
    layOut() {
        const keys = this.keys();
        const wanted = new Set(keys);
        for (const [key, chart] of this.charts) {
            if (wanted.has(key)) continue;
            this.observer.unobserve(chart.node);
            this.resizer.unobserve(chart.plot);
            chart.destroy();
            this.charts.delete(key);
        }
        const grids = new Map([...this.groups.children].map((group) => [group.dataset.group, group]));
        const sections = [...new Set(keys.map(groupOf))].map((name) => {
            const box = grids.get(name) ?? h("details", { open: !isFolded(name), data: { group: name } },
                h("summary", {}, h("h3", {}, name), h("span", { class: "small" })), h("div", { class: "charts" }),
                h("details", { class: "more" }, h("summary", { class: "small" }), h("div", { class: "charts" })));
            const members = keys.filter((key) => groupOf(key) === name);
            box.querySelector(".small").textContent = ` ${members.length}`;
            const [shown, others] = box.querySelectorAll(":scope > .charts, :scope > .more > .charts");
            // Whoever searches wants to see what was found.
            const first = this.filter || members.length <= FIRST + 3 ? members.length : FIRST;
            setChildren(shown, members.slice(0, first).map((key) => this.chartFor(key).node));
            setChildren(others, members.slice(first).map((key) => this.chartFor(key).node));
            others.parentElement.hidden = first === members.length;
            others.previousElementSibling.textContent = `${members.length - first} more`;
            return box;
        });
        setChildren(this.groups, sections);
        this.empty.hidden = keys.length > 0;
        const none = this.runs.some((run) => run.isLive) ? "No metrics yet; they appear as they are written." : "It wrote no metrics.";
        this.empty.textContent = this.filter ? "No key matches." : none;
    }

    chartFor(key) {
        if (!this.charts.has(key)) {
            const chart = new Chart(key, this);
            this.charts.set(key, chart);
            if (this.isStarted) this.observe(chart);
        }
        return this.charts.get(key);
    }

    observe(chart) {
        chart.node.chart = chart;
        this.observer.observe(chart.node);
        this.resizer.observe(chart.plot);
    }

    seen(entries) {
        for (const { target, isIntersecting } of entries) {
            target.chart.isVisible = isIntersecting;
            if (isIntersecting) this.invalidate(target.chart);
        }
        this.loadVisible();
    }

    resized(entries) {
        for (const { target, contentRect } of entries) {
            const { chart } = target.closest(".chart");
            chart.width = contentRect.width;
            chart.graph?.resize();
            this.invalidate(chart);
        }
    }

    loadVisible() {
        const keys = [...this.charts.values()].filter((chart) => chart.isVisible).map((chart) => chart.key);
        this.store.load(this.runs.map((run) => run.id), keys).catch((error) => {
            if (!this.signal.aborted) toast(error.message, true);
        });
    }

    invalidate(chart) {
        if (!chart) return;
        chart.isDirty = true;
        if (chart.isVisible) this.scheduler.request();
    }

    /** The charts to draw. */
    due() {
        this.extents.clear();
        return [...this.charts.values()].filter((chart) => chart.isVisible && chart.isDirty);
    }

    invalidateAll() {
        for (const chart of this.charts.values()) this.invalidate(chart);
    }

    /** The x values at the left and right edges of the charts with this axis. */
    window(axis) {
        if (this.view?.axis === axis) return this.view.edges;
        if (this.extents.has(axis)) return this.extents.get(axis);
        let from = Infinity;
        let to = -Infinity;
        for (const run of this.runs) {
            for (const key of run.keys.keys()) {
                const curve = axisOf(key, this.settings.axis) === axis ? this.store.ready(run.id, key) : null;
                if (!curve?.steps.length) continue;
                const ends = { steps: [curve.steps[0], curve.steps.at(-1)], times: [curve.times[0], curve.times.at(-1)] };
                const [first, last] = xValues(ends, axis, run.origin ?? curve.times[0]);
                from = Math.min(from, first);
                to = Math.max(to, last);
            }
        }
        const extent = from <= to ? [from, to] : [0, 1];
        this.extents.set(axis, extent);
        return extent;
    }

    zoom(axis, from, to) {
        if (!(to > from)) return;
        this.view = { axis, edges: [from, to] };
        this.setCursor(axis, null);
        this.toolbar.reset.hidden = false;
        this.invalidateAll();
        clearTimeout(this.refining);
        this.refining = setTimeout(() => this.refine(), 250);
    }

    resetZoom() {
        this.view = null;
        this.extents.clear();
        this.setCursor(null, null);
        this.toolbar.reset.hidden = true;
        this.invalidateAll();
    }

    /** Reads the stretch that is looked at once more, where the page holds only part of its points. */
    refine() {
        if (!this.view || this.signal.aborted) return;
        const { axis, edges } = this.view;
        const visible = [...this.charts.values()].filter((chart) => chart.isVisible && chart.axis === axis);
        for (const run of this.runs) {
            const partial = visible.map(({ key }) => ({ key, curve: this.store.ready(run.id, key) }))
                .filter(({ key, curve }) => curve && recorded(curve, run.keys.get(key)) > curve.steps.length);
            if (!partial.length) continue;
            const { curve } = partial[0];
            const x = xValues(curve, axis, run.origin ?? curve.times[0]);
            const [from, to] = edges.map((edge) => lowerBound(x, edge));
            if (to <= from) continue;
            const steps = [curve.steps[Math.max(0, from - 1)], curve.steps[Math.min(to, x.length - 1)]];
            // The curve is on the screen already, only coarser; where this fails it stays so.
            this.store.refine(run.id, partial.map(({ key }) => key), ...steps).catch(() => null);
        }
    }

    /** Where the reader points, on charts with this axis; null where nowhere. */
    cursorOn(axis) {
        return this.cursor?.axis === axis ? this.cursor.x : null;
    }

    setCursor(axis, x) {
        this.cursor = x === null ? null : { axis, x };
        this.cursorFrame ??= requestAnimationFrame(() => {
            this.cursorFrame = null;
            for (const chart of this.charts.values()) if (chart.isVisible) chart.showCursor();
        });
    }

    settingsChanged(part) {
        if (part.axis) this.resetZoom();
        this.invalidateAll();
    }

    filterKeys(text) {
        this.filter = text;
        this.layOut();
    }

    /** Looks soon after whether another stream is wanted: what is known of several runs often comes at once. */
    retarget() {
        clearTimeout(this.retargeting);
        this.retargeting = setTimeout(() => this.follow(), 50);
    }

    /** Opens the one stream that tells of all live runs on the page. */
    follow() {
        if (this.signal.aborted) return;
        const live = this.runs.filter((run) => run.isLive);
        const query = live.length === 1 ? { job: live[0].id, types: TYPES } : { types: live.length ? TYPES : "state,gap,end" };
        const target = JSON.stringify(query);
        if (target === this.target) return;
        this.target = target;
        this.following?.abort();
        this.following = new AbortController();
        const { signal } = this.following;
        followEvents({
            query,
            // Without live runs only new states matter; the position stays where the points end.
            after: live.length ? this.position : undefined,
            signal,
            onEvent: (event) => this.take(event, live.length > 0),
            onGap: (gap) => (live.length ? this.reload(gap?.job_id) : null),
        }).then((hasEnded) => {
            if (!hasEnded || signal.aborted) return;
            for (const run of live) run.isLive = false;
            this.follow();
        }).catch((error) => {
            if (!signal.aborted) toast(error.message, true);
        });
    }

    take(event, keepsPosition) {
        const run = this.runs.find(({ id }) => id === event.job_id);
        if (keepsPosition) this.position = event.seq;
        if (!run) return event.type === "evaluation" ? this.onEvent(event) : null;
        if (event.type !== "metric") {
            if (event.type === "state" && !event.attempt_id && isActive(event.data.state) && !run.isLive) {
                run.isLive = true;
                this.retarget();
            }
            return this.onEvent(event);
        }
        let isKnown = true;
        for (const key of this.store.apply(event)) {
            if (run.keys.has(key)) continue;
            run.keys.set(key, null);
            isKnown = false;
        }
        if (!isKnown) this.layOut();
        if (event.data.progress) this.onEvent(event);
    }

    /** Events were lost, of one job or of all: what is shown of them is read again. */
    reload(job) {
        if (job && !this.runs.some(({ id }) => id === job)) return;
        if (job) this.store.forget(job);
        else this.store.clear();
        this.loadVisible();
    }

    close() {
        this.following?.abort();
        this.observer.disconnect();
        this.resizer.disconnect();
        clearTimeout(this.refining);
        clearTimeout(this.retargeting);
        for (const chart of this.charts.values()) chart.graph?.destroy();
    }
}
