// The points that the page holds: read from the daemon in one piece, then kept up to date by the stream.

import { get } from "./api.js";
import { halve, lowerBound } from "./series.js";

/** How many points of a curve are asked for. */
const POINTS = 1000;
/** How many of a curve are held at most; beyond, it is thinned to half. */
const MOST = 4000;
/** How many curves are asked for in one request. */
const BATCH = 24;

/** Values that JSON has no numbers for come as text; Number() reads those names. */
function takeOver(curve, answer) {
    curve.steps = answer.steps;
    curve.times = answer.times;
    curve.values = answer.values.map(Number);
    curve.attempts = answer.attempts;
    // How many points came: those that were recorded may be more.
    curve.count = answer.count;
    curve.readCount = answer.count;
    curve.readLast = answer.steps.at(-1);
}

/**
 * How many points were recorded of a curve, of which the page may hold only some.
 * @param {object} curve
 * @param {{count: number, first_step: number, last_step: number}|null|undefined} known What the job's summary told of its key.
 * @returns {number} An estimate where points came between the summary and the curve.
 */
export function recorded(curve, known) {
    if (!known || known.count <= curve.readCount) return curve.count;
    const spacing = (known.last_step - known.first_step) / Math.max(1, known.count - 1) || 1;
    const between = Math.max(0, Math.round((curve.readLast - known.last_step) / spacing));
    return known.count + between + curve.count - curve.readCount;
}

/** A curve before it was read: `epoch` counts how often points were taken back, `pending` holds what the stream tells meanwhile. */
function emptyCurve() {
    const told = { steps: [], times: [], values: [], attempts: [], count: 0, readCount: 0, readLast: 0, seq: 0 };
    return { ...told, epoch: 0, pending: [], isReady: false };
}

/** Adds a point that the stream told. */
function push(curve, attempt, { step, time, value }) {
    const { steps, attempts } = curve;
    const newest = attempts.at(-1) ?? 0;
    if (attempt < newest) return;
    let at = lowerBound(steps, step);
    if (attempt > newest && at < steps.length) {
        // A resumed attempt goes over these steps again. Of a thinned curve, as large a part of its points is taken back.
        curve.count = Math.round(curve.count * at / steps.length);
        for (const name of ["steps", "times", "values", "attempts"]) curve[name].length = at;
        curve.epoch += 1;
    }
    const isNew = steps[at] !== step;
    if (isNew && at < steps.length) for (const name of ["steps", "times", "values", "attempts"]) curve[name].splice(at, 0, 0);
    at = Math.min(at, steps.length);
    steps[at] = step;
    curve.times[at] = time;
    curve.values[at] = Number(value);
    attempts[at] = attempt;
    if (isNew) curve.count += 1;
    if (steps.length > MOST) halve(curve);
}

/** The curves of the runs on the page. */
export class CurveStore {
    /**
     * @param {AbortSignal} signal
     * @param {function(string): void} onChange Told the key of a curve that changed.
     */
    constructor(signal, onChange) {
        this.signal = signal;
        this.onChange = onChange;
        this.curves = new Map();
    }

    /** The curve of a run, or undefined while it was not read. */
    ready(job, key) {
        const curve = this.curves.get(`${job} ${key}`);
        return curve?.isReady ? curve : undefined;
    }

    /** Reads what is not there yet of these keys, for these runs. */
    async load(jobs, keys) {
        const missing = new Map();
        for (const key of keys) {
            for (const job of jobs) {
                const id = `${job} ${key}`;
                if (this.curves.has(id)) continue;
                this.curves.set(id, emptyCurve());
                missing.set(job, [...missing.get(job) ?? [], key]);
            }
        }
        // Runs that lack the same keys, which is the rule, are read together.
        const alike = new Map();
        for (const [job, lacking] of missing) {
            const name = lacking.join("\n");
            alike.set(name, { lacking, jobs: [...alike.get(name)?.jobs ?? [], job] });
        }
        const requests = [];
        for (const { lacking, jobs: some } of alike.values()) {
            const size = Math.max(1, Math.floor(BATCH / some.length));
            for (let at = 0; at < lacking.length; at += size) requests.push(this.read(some, lacking.slice(at, at + size)));
        }
        await Promise.all(requests);
    }

    async read(jobs, keys) {
        let answer;
        try {
            answer = await get("/v1/metrics", { query: { job: jobs, key: keys, points: POINTS, layout: "columns" }, signal: this.signal });
        } catch (error) {
            for (const job of jobs) for (const key of keys) this.curves.delete(`${job} ${key}`);
            throw error;
        }
        const told = new Map();
        for (const curve of answer.curves) {
            const id = `${curve.job_id} ${curve.key}`;
            // Two sources may have written a key; the fuller curve is the one to show.
            if (!(told.get(id)?.count >= curve.count)) told.set(id, curve);
        }
        for (const job of jobs) {
            for (const key of keys) {
                const curve = this.curves.get(`${job} ${key}`);
                if (!curve) continue;
                const found = told.get(`${job} ${key}`);
                if (found) takeOver(curve, found);
                curve.seq = answer.seq;
                curve.isReady = true;
                // What the stream told while the answer was under way: the answer has all up to its position.
                for (const { seq, attempt, point } of curve.pending) if (seq > curve.seq) push(curve, attempt, point);
                curve.pending = [];
            }
        }
        keys.forEach(this.onChange);
    }

    /**
     * Takes the points of a `metric` event.
     * @returns {string[]} The keys that it told of.
     */
    apply(event) {
        const changed = new Set();
        const { attempt, points } = event.data;
        for (const point of points) {
            changed.add(point.key);
            const curve = this.curves.get(`${event.job_id} ${point.key}`);
            if (!curve) continue;
            if (!curve.isReady) curve.pending.push({ seq: event.seq, attempt, point });
            else if (event.seq > curve.seq) push(curve, attempt, point);
        }
        changed.forEach(this.onChange);
        return [...changed];
    }

    /** Reads a stretch again, finer, after a zoom. Steps. */
    async refine(job, keys, from, to) {
        const before = new Map(keys.map((key) => [key, this.ready(job, key)?.epoch]));
        const query = { job, key: keys, points: POINTS, layout: "columns", by: "step", from, to };
        const answer = await get("/v1/metrics", { query, signal: this.signal });
        for (const found of answer.curves) {
            const curve = this.ready(job, found.key);
            if (!curve || curve.epoch !== before.get(found.key) || found.steps.length === 0) continue;
            const start = lowerBound(curve.steps, found.steps[0]);
            const end = lowerBound(curve.steps, found.steps.at(-1) + 1);
            if (end - start >= found.steps.length) continue;
            found.values = found.values.map(Number);
            for (const name of ["steps", "times", "values", "attempts"]) {
                curve[name] = [...curve[name].slice(0, start), ...found[name], ...curve[name].slice(end)];
            }
            if (curve.steps.length > MOST) halve(curve);
            this.onChange(found.key);
        }
    }

    /** Forgets a run. */
    forget(job) {
        for (const id of [...this.curves.keys()]) if (id.startsWith(`${job} `)) this.curves.delete(id);
    }

    /** Forgets everything, after events were lost. */
    clear() {
        this.curves.clear();
    }
}
