// How far the generations of a job are: a bar for each pass, what failed, and a few samples.

import { get } from "./api.js";
import { h, keyed, makeTable, section } from "./dom.js";
import { duration, grouped, isActive, number, plain } from "./format.js";

const SHOWN_SAMPLES = 3;

function words(view) {
    const parts = [`${grouped(view.done)} of ${grouped(view.total)} generations`];
    if (view.failed) parts.push(`${grouped(view.failed)} failed`);
    if (view.reused) parts.push(`${grouped(view.reused)} taken over from earlier jobs`);
    if (view.tokens) parts.push(`${grouped(view.tokens)} tokens`);
    if (view.truncated_share) parts.push(`${number(100 * view.truncated_share)} % cut at the longest length`);
    if (view.requests_in_flight !== null) parts.push(`${grouped(view.requests_in_flight)} in flight`);
    if (view.tokens_per_second !== null) parts.push(`${number(view.tokens_per_second)} tokens/s`);
    if (view.eta_seconds) parts.push(`about ${duration(view.eta_seconds)} left`);
    return parts.join(" · ");
}

function missing(pass) {
    const stretches = pass.missing.map(({ from, to }) => (from === to ? `${from}` : `${from}–${to}`));
    return stretches.length ? stretches.join(", ") : "–";
}

function sampleNode(sample) {
    const fields = Object.entries(sample.input ?? {}).map(([key, value]) =>
        h("div", { class: "small" }, h("b", {}, `${key}: `), plain(value)));
    const title = `Record ${sample.record ?? "?"}, seed ${sample.seed}`;
    return h("details", {}, h("summary", {}, title), ...fields, h("pre", { class: "break" }, sample.generation));
}

/**
 * The section of a job's page; hidden for jobs of other kinds.
 * @param {string} id
 * @param {AbortSignal} signal
 */
export function generationsSection(id, signal) {
    const sums = h("p", { "aria-live": "polite" });
    const passes = makeTable("Passes", ["Seed", "Chunk", "Progress", "Done", "Failed", "Reused", "Tokens", "State", "Missing"]);
    const failed = makeTable("Failed records", ["Record", "Seed", "Cause", "Tries", "Message"]);
    const samples = h("div", {});
    const node = section("Generations", sums, passes.table, failed.table, samples);
    node.classList.add("generations");
    node.hidden = true;
    let sampled = null;

    const drawSamples = async (view) => {
        // They change only where there is more to draw from; those that are open stay open while a job runs.
        const stage = isActive(view.state) ? Math.min(view.done, 1) : `ended ${view.done}`;
        if (stage === sampled || !view.done) return;
        sampled = stage;
        const found = await get(`/v1/jobs/${id}/generations/samples?count=${SHOWN_SAMPLES}`, { signal });
        samples.replaceChildren(h("h3", {}, "Samples"), ...found.data.map(sampleNode));
    };

    const draw = async (job) => {
        if (job.kind !== "generate") return;
        const view = await get(`/v1/jobs/${id}/generations`, { signal });
        node.hidden = view.total === 0;
        sums.textContent = words(view);
        keyed(passes.body, view.passes, (pass) => `${pass.job_id} ${pass.seed}`, (pass) => passes.row([
            String(pass.seed), String(pass.chunk),
            h("progress", { max: Math.max(1, pass.total), value: pass.done, "aria-label": `Seed ${pass.seed}` }),
            `${grouped(pass.done)} of ${grouped(pass.total)}`, grouped(pass.failed), grouped(pass.reused), grouped(pass.tokens),
            pass.state, missing(pass),
        ]));
        failed.table.hidden = view.failures.data.length === 0;
        keyed(failed.body, view.failures.data, (item) => `${item.job_id} ${item.seed} ${item.record}`, (item) => failed.row([
            String(item.record), String(item.seed), item.cause.replaceAll("_", " "), String(item.tries), item.message,
        ]));
        await drawSamples(view);
    };
    return { node, draw };
}
