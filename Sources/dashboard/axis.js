// What the x axis shows: steps, the clock, or the time since each run's start.

import { duration, grouped, number } from "./format.js";

/** Keys of which a step is a whole second since the job's start, as NeMo RL writes them (nemo_rl/utils/logger.py). */
const SAMPLED = /^(?:ray|system)\//;

/** Whether a key's steps are seconds and not the trainer's. */
export function isSampled(key) {
    return SAMPLED.test(key);
}

/** The axis of a key's chart where the reader chose `axis`: its own seconds where its steps are none of the trainer's. */
export function axisOf(key, axis) {
    return axis === "step" && isSampled(key) ? "seconds" : axis;
}

/** The choices, by name. */
export const AXES = { step: "step", clock: "wall time", elapsed: "time since start" };

/**
 * A curve's x values.
 * @param {object} curve
 * @param {string} axis One of AXES, or `seconds`; clock in milliseconds of Unix time, elapsed in seconds.
 * @param {number} origin Unix seconds of the run's start.
 * @returns {number[]}
 */
export function xValues(curve, axis, origin) {
    if (axis === "step" || axis === "seconds") return curve.steps;
    return axis === "clock" ? curve.times.map((time) => time * 1000) : curve.times.map((time) => time - origin);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** An x value as text. */
export function xText(x, axis) {
    if (axis === "step") return `step ${grouped(Math.round(x))}`;
    return axis === "clock" ? CLOCK.format(x) : duration(x);
}

/** Options for dygraphs' x axis. */
export function xOptions(axis) {
    if (axis === "clock") return { ticker: Dygraph.dateTicker, axisLabelFormatter: Dygraph.dateAxisLabelFormatter };
    const text = axis === "step" ? shortStep : shortDuration;
    return { ticker: axis === "step" ? Dygraph.numericLinearTicks : timeTicks, axisLabelFormatter: (x) => text(x) };
}

function shortStep(step) {
    return step >= 100_000 ? `${Number((step / 1000).toPrecision(6))}k` : String(Number(step.toPrecision(6)));
}

const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];

/** Ticks at whole seconds, minutes and hours. */
function timeTicks(from, to, pixels) {
    const most = Math.max(2, pixels / 90);
    const size = SPANS.find((span) => (to - from) / span <= most) ?? SPANS.at(-1);
    const ticks = [];
    for (let at = Math.ceil(from / size) * size; at <= to; at += size) ticks.push({ v: at, label: shortDuration(at) });
    return ticks;
}

function shortDuration(seconds) {
    const two = (figure) => String(figure).padStart(2, "0");
    if (seconds < 60) return `${Math.round(seconds)} s`;
    const whole = Math.round(seconds);
    const minutes = Math.floor(whole / 60);
    return whole < 3600 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)} h ${two(minutes % 60)}`;
}

/** A curve whose values differ by less than this part of them is flat: what is left is the rounding of sums. */
const FLAT = 1e-5;

/**
 * The edges of the y axis where the curves are all but flat; null where dygraphs finds better ones.
 * @param {Array<Array<number|null>>} rows As `align` makes them.
 */
export function heightOf(rows) {
    let least = Infinity;
    let greatest = -Infinity;
    for (const row of rows) {
        for (let column = 1; column < row.length; column += 1) {
            const value = row[column];
            if (value === null || !Number.isFinite(value)) continue;
            if (value < least) least = value;
            if (value > greatest) greatest = value;
        }
    }
    const size = Math.max(Math.abs(least), Math.abs(greatest));
    return least < greatest && greatest - least < FLAT * size ? [least - size / 10, greatest + size / 10] : null;
}

/** A y value as text, with as many digits as tell it from its neighbours on the axis. */
export function yText(value, [least, greatest]) {
    const size = Math.max(Math.abs(least), Math.abs(greatest));
    const digits = Math.ceil(Math.log10(size / (greatest - least))) + 2;
    return digits > 4 && digits < 9 ? String(Number(value.toPrecision(digits))).replace("-", "−") : number(value);
}
