// The machine's GPUs: how busy they are, who holds them, and what the last ten minutes were like.

import { drainButton } from "./actions.js";
import { get } from "./api.js";
import { setTitle } from "./app.js";
import { pause } from "./connection.js";
import { h, jobLink, keyed, makeTable, section, shortID } from "./dom.js";
import { bytes, duration, grouped, number, when } from "./format.js";
import { namesOf } from "./names.js";
import { sparkline } from "./sparkline.js";

const EVERY = 2000;
const SECONDS = 600;
const HEALTH = { drained: "drained", faulty: "faulty", busy_foreign: "used by others" };

function meter(label, value, most, text) {
    return h("div", { class: "meter" }, h("span", {}, label), h("span", { class: "value" }, text),
        value === null || value === undefined ? null : h("meter", { min: 0, max: most, value, "aria-label": `${label}: ${text}` }));
}

function rounded(value, unit) {
    return value === null ? "–" : `${Math.round(value)}\u00a0${unit}`;
}

/** The curves of the last ten minutes, and the same in words. */
function lastMinutes(gpu, history, measured) {
    const mean = measured.reduce((sum, value) => sum + value, 0) / measured.length;
    const [average, most] = [mean, Math.max(...measured)].map((part) => `${Math.round(100 * part)} percent`);
    const seconds = history.times.at(-1) - history.times[0];
    const span = `last ${seconds < 90 ? duration(Math.round(seconds)) : `${Math.round(seconds / 60)} min`}`;
    const label = `Utilisation, ${span}: mean ${average}, most ${most}`;
    return [
        sparkline([
            { values: history.memory_bytes.map((value) => (value === null ? null : value / gpu.memory_bytes)), class: "memory" },
            { values: history.utilization, class: "utilisation" },
        ], history.times, 1, label),
        h("p", { class: "small key" }, ["utilisation", "memory"].map((name) => h("span", { class: name }, name)), span),
    ];
}

/** What was measured last: some devices tell the history only. */
function withLast(gpu, history) {
    const last = (name) => history?.[name]?.at(-1) ?? null;
    const busy = last("utilization");
    return {
        ...gpu,
        utilization: gpu.utilization ?? (busy === null ? null : busy * 100),
        memory_used_bytes: gpu.memory_used_bytes ?? last("memory_bytes"),
        temperature: gpu.temperature ?? last("temperature_celsius"),
        power_watts: gpu.power_watts ?? last("power_watts"),
    };
}

function card({ gpu: device, history, names }, soon) {
    const gpu = withLast(device, history);
    const badges = [gpu.simulated ? h("span", { class: "badge" }, "simulated") : null,
        HEALTH[gpu.health] ? h("span", { class: "badge warn" }, HEALTH[gpu.health]) : null];
    const holders = gpu.holders.map((holder) => h("li", {}, jobLink(holder.job_id, names[holder.job_id] ?? shortID(holder.job_id)),
        holder.share < 1 ? ` (${number(holder.share * 100)} %)` : ""));
    const used = gpu.memory_used_bytes === null ? "not measured" : `${bytes(gpu.memory_used_bytes)} of ${bytes(gpu.memory_bytes)}`;
    const measured = (history?.utilization ?? []).filter((value) => value !== null);
    return h("li", { class: `gpu gpu-${gpu.health === "healthy" ? gpu.state : "out"}` },
        h("h2", {}, `GPU ${gpu.index}`, " ", badges),
        h("p", { class: "small" }, gpu.name, `, ${bytes(gpu.memory_bytes)}`, gpu.parent ? `, part of ${gpu.parent}` : ""),
        gpu.health_reason ? h("p", { class: "notice" }, gpu.health_reason) : null,
        meter("Utilisation", gpu.utilization, 100, gpu.utilization === null ? "not measured" : `${Math.round(gpu.utilization)} %`),
        meter("Memory", gpu.memory_used_bytes, gpu.memory_bytes, used),
        h("p", { class: "pair" }, h("span", {}, "Temperature ", h("b", {}, rounded(gpu.temperature, "°C"))),
            h("span", {}, "Power ", h("b", {}, rounded(gpu.power_watts, "W")))),
        measured.length > 1 ? lastMinutes(gpu, history, measured) : null,
        h("div", { class: "foot" }, holders.length ? h("ul", { class: "holders", "aria-label": "Held by" }, holders)
            : h("span", { class: "small" }, gpu.state === "busy" ? "busy with a foreign process" : "free"), drainButton(gpu, soon)));
}

function summary(inventory) {
    const gpus = inventory.data;
    const busy = gpus.filter((gpu) => gpu.state !== "free").length;
    const out = gpus.filter((gpu) => gpu.health !== "healthy").length;
    const { cpus, memory_bytes: memory } = inventory;
    return [`${busy} of ${gpus.length} GPUs in use`, out ? `${out} out of use` : null,
        `${cpus.held} of ${grouped(cpus.total)} CPUs given out`,
        `${bytes(memory.held)} of ${bytes(memory.total)} memory given out`].filter(Boolean).join(" · ");
}

/** The clusters of the configuration; nothing where there are none. */
function clustersSection() {
    const { table, body, row } = makeTable("Clusters", ["Name", "State", "Queued", "Running", "Time limit", "GPUs a node"]);
    const node = section("Clusters", table);
    node.hidden = true;
    const draw = (clusters) => {
        node.hidden = clusters.length === 0;
        keyed(body, clusters, (cluster) => cluster.name, (cluster) => row([
            [cluster.name, h("span", { class: "small" }, [cluster.executor, cluster.partition].filter(Boolean).join(" · "))],
            cluster.silent_since ? [h("span", { class: "badge warn" }, "silent"), " since ", when(cluster.silent_since), ": ", cluster.message]
                : "answers",
            grouped(cluster.queued), grouped(cluster.running),
            cluster.time_limit_seconds === null ? "–" : duration(cluster.time_limit_seconds),
            cluster.gpus_per_node === null ? "–" : String(cluster.gpus_per_node),
        ]));
    };
    return { node, draw };
}

/** The last ten minutes; null while the daemon does not record them. */
async function readHistory(signal) {
    try {
        return await get("/v1/gpus/metrics", { query: { seconds: SECONDS }, signal });
    } catch (error) {
        if (error.status === 404) return null;
        throw error;
    }
}

/** Shows the page. */
export async function show(root, { signal }) {
    setTitle("GPUs");
    const words = h("p", { class: "small" });
    const note = h("p", { class: "small", hidden: true });
    const grid = h("ul", { class: "gpus" });
    const clusters = clustersSection();
    root.append(h("h1", { tabindex: "-1" }, "GPUs"), words, note, grid, clusters.node);
    let history = null;
    let historyAt = 0;

    const refresh = async () => {
        const [inventory, elsewhere] = await Promise.all([get("/v1/gpus", { signal }), get("/v1/clusters", { signal })]);
        clusters.draw(elsewhere.data);
        const names = await namesOf(inventory.data.flatMap((gpu) => gpu.holders.map((holder) => holder.job_id)), signal);
        if (Date.now() - historyAt > 10_000) {
            history = await readHistory(signal);
            historyAt = Date.now();
        }
        words.textContent = summary(inventory);
        note.hidden = !inventory.message;
        note.textContent = inventory.message ?? "";
        const past = new Map((history?.gpus ?? []).map((gpu) => [gpu.id ?? gpu.index, gpu]));
        const items = inventory.data.map((gpu) => ({
            gpu,
            history: past.get(gpu.uuid) ?? past.get(gpu.index) ?? null,
            names: Object.fromEntries(gpu.holders.map(({ job_id: job }) => [job, names.get(job)])),
        }));
        keyed(grid, items, ({ gpu }) => gpu.uuid, (item) => card(item, refresh));
    };
    await refresh();
    while (!signal.aborted) {
        await pause(EVERY, signal).catch(() => null);
        if (!document.hidden && !signal.aborted) await refresh();
    }
}
