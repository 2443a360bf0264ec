// Numbers, sizes and times for people.

import { h } from "./dom.js";

/** Four significant digits; very small and large numbers in powers of ten. Takes the API's "NaN" and "Infinity" too. */
export function number(value) {
    if (value === null || value === undefined) return "–";
    const figure = Number(value);
    if (!Number.isFinite(figure)) return Number.isNaN(figure) ? "NaN" : figure > 0 ? "∞" : "−∞";
    if (figure === 0) return "0";
    const size = Math.abs(figure);
    if (size < 1e-3 || size >= 1e7) return String(Number(figure.toPrecision(3)).toExponential()).replace("e+", "e").replaceAll("-", "−");
    if (Number.isInteger(figure)) return grouped(figure).replace("-", "−");
    return (size >= 1000 ? grouped(Math.round(figure)) : String(Number(figure.toPrecision(4)))).replace("-", "−");
}

/** A whole number with thin spaces between thousands. */
export function grouped(value) {
    return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A value of any type, as a summary or a matrix has them. */
export function plain(value) {
    if (typeof value === "number") return number(value);
    return value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A number with its sign. */
export function signed(value) {
    if (value === null || value === undefined) return "–";
    return value > 0 ? `+${number(value)}` : number(value);
}

/** Bytes in binary units. */
export function bytes(value) {
    if (value === null || value === undefined) return "–";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let size = value;
    let unit = 0;
    while (size >= 1024 && unit < units.length - 1) {
        size /= 1024;
        unit += 1;
    }
    return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)}\u00a0${units[unit]}`;
}

/** A span of time given in seconds, such as "1 h 04 min". */
export function duration(seconds) {
    if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
    if (seconds < 0) return `−${duration(-seconds)}`;
    if (seconds < 10) return `${Number(seconds.toFixed(1))}\u00a0s`;
    if (seconds < 60) return `${Math.round(seconds)}\u00a0s`;
    const whole = Math.round(seconds);
    const two = (figure) => String(figure).padStart(2, "0");
    if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${two(whole % 60)}\u00a0s`;
    if (whole < 86400) return `${Math.floor(whole / 3600)}\u00a0h ${two(Math.floor(whole / 60) % 60)}\u00a0min`;
    return `${Math.floor(whole / 86400)}\u00a0d ${two(Math.floor(whole / 3600) % 24)}\u00a0h`;
}

/** Seconds from one RFC 3339 time to another, as text; null where one is missing. */
export function between(from, to) {
    return from && to ? duration((Date.parse(to) - Date.parse(from)) / 1000) : null;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** A time element in the reader's zone: the clock for today, the day besides for others. Null for no time. */
export function when(iso) {
    if (!iso) return null;
    const date = new Date(iso);
    const isToday = date.toDateString() === new Date().toDateString();
    return h("time", { datetime: iso, title: date.toString() }, (isToday ? CLOCK : DAY).format(date));
}

/** A time as text: the day and the clock. */
export function dayAndClock(iso) {
    return DAY.format(new Date(iso));
}

/** What a job asks of the machine, in a few words. */
export function resources(wanted) {
    const parts = [];
    if (wanted.gpu_share > 0) parts.push(`${number(wanted.gpu_share)} GPU`);
    else if (wanted.gpus > 0) {
        const count = wanted.gpus_max > wanted.gpus ? `${wanted.gpus}–${wanted.gpus_max}` : String(wanted.gpus);
        parts.push(`${count} GPU${count === "1" ? "" : "s"}`);
    }
    if (wanted.model) parts.push(wanted.model);
    if (wanted.gpu_memory_bytes > 0) parts.push(`${bytes(wanted.gpu_memory_bytes)} each`);
    if (wanted.cpus > 0) parts.push(`${wanted.cpus} CPU${wanted.cpus === 1 ? "" : "s"}`);
    if (wanted.memory_bytes > 0) parts.push(bytes(wanted.memory_bytes));
    for (const [name, amount] of Object.entries(wanted.counters ?? {})) parts.push(`${amount} ${name}`);
    if (wanted.nodes > 1) return `${wanted.nodes} nodes with ${resources({ ...wanted, nodes: 1 })} each`;
    if (wanted.any_of?.length) parts.push(`or ${wanted.any_of.map(resources).join(" or ")}`);
    return parts.join(", ") || "nothing";
}

const ACTIVE = new Set(["pending", "waiting", "queued", "starting", "running", "stopping", "paused"]);

/** Whether a job or experiment in this state may still change by itself. */
export function isActive(state) {
    return ACTIVE.has(state);
}

const REASONS = { needs_pending: "the jobs that it needs have not ended" };

/** A reason's word for people. */
export function reasonWords(reason) {
    return REASONS[reason] ?? reason.replaceAll("_", " ");
}

/** How far a job is: a bar with words beside it, or null where nothing is known. */
export function progressBar(progress) {
    if (!progress) return null;
    const words = [progress.total ? `${number(progress.done)} of ${number(progress.total)}` : `${number(progress.done)} done`];
    if (progress.rate_per_second) words.push(rate(progress.rate_per_second));
    if (progress.seconds_left) words.push(`${duration(progress.seconds_left)} left`);
    const bar = progress.total ? h("progress", { max: progress.total, value: progress.done, "aria-label": "Progress" }) : null;
    return h("span", { class: "progress" }, bar, h("span", {}, words.join(" · ")));
}

function rate(perSecond) {
    return perSecond >= 1 ? `${number(Number(perSecond.toPrecision(3)))}/s` : `${duration(1 / perSecond)} each`;
}
