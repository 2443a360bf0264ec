// Two evaluations side by side: the difference with its 95 % interval.

import { h, jobLink, makeTable, svg } from "./dom.js";
import { number, signed } from "./format.js";
import { JOB, mentioned, namesOf } from "./names.js";

/** The interval as a bar about zero, on a scale that all rows share. */
function interval({ ci_low: low, ci_high: high, difference }, reach) {
    if (low === null || high === null) return null;
    const at = (value) => 100 + value / reach * 96;
    const verdict = low > 0 ? "better" : high < 0 ? "worse" : "unclear";
    const label = `from ${number(low)} to ${number(high)}`;
    return svg("svg", { class: `interval ${verdict}`, viewBox: "0 0 200 16", role: "img", "aria-label": label },
        svg("line", { x1: 100, x2: 100, y1: 0, y2: 16, class: "zero" }),
        svg("line", { x1: at(low), x2: at(high), y1: 8, y2: 8, class: "span" }),
        svg("circle", { cx: at(difference), cy: 8, r: 4 }));
}

/**
 * Shows a comparison.
 * @param {object} comparison As `/v1/evaluations/compare` answers it.
 * @returns {HTMLElement}
 */
export function showComparison(comparison) {
    const ends = comparison.benchmarks.flatMap(({ ci_low: low, ci_high: high }) => [low ?? 0, high ?? 0]);
    const reach = Math.max(1e-9, ...ends.map(Math.abs));
    const labels = ["Benchmark", "Metric", "Base", "Candidate", "Difference", "95 % interval", "p", "Items", "Better / worse"];
    const { table, body, row } = makeTable("Comparison of two evaluations", labels);
    body.append(...comparison.benchmarks.map((item) => row([
        item.name, item.metric, number(item.base), number(item.candidate), h("b", {}, signed(item.difference)),
        [item.ci_low === null ? "–" : `${signed(item.ci_low)} … ${signed(item.ci_high)}`, interval(item, reach)],
        number(item.p_value), String(item.items), `${item.improved} / ${item.regressed}`,
    ])));
    return table;
}

/** Shows whether a gate let a model pass, and by which checks. */
export function showGate(gate) {
    if (!gate) return null;
    const [style, verdict] = gate.passed ? ["succeeded", "gate passed"] : ["failed", "gate failed"];
    const checks = gate.checks.map((check) => h("li", {},
        `${check.passed ? "✓" : "✕"} ${check.metric} ${check.condition}: ${number(check.value)}`,
        check.limit === null ? "" : ` (limit ${number(check.limit)})`));
    return h("div", { class: "gate" }, h("span", { class: `state state-${style}` }, verdict), h("ul", {}, checks));
}

/** The figures of an evaluation, a line for each benchmark: the first, and the others where the reader wants them. */
export function showFigures(evaluation) {
    const figure = ([metric, { value, stderr }]) =>
        h("span", { class: "figure" }, `${metric} ${number(value)}${stderr ? ` ± ${number(stderr)}` : ""}`);
    return h("ul", { class: "figures" }, evaluation.benchmarks.map(({ name, items, samples, metrics }) => {
        const [first, ...others] = Object.entries(metrics);
        return h("li", {},
            h("b", {}, name), ` (${items} items${samples > 1 ? ` × ${samples}` : ""}) `, first ? h("b", {}, figure(first)) : null,
            others.length ? h("details", {}, h("summary", { class: "small" }, `${others.length} more`), others.map(figure)) : null);
    }));
}

/**
 * Adds to evaluations the names of the jobs that they speak of.
 * @param {object[]} evaluations
 * @param {AbortSignal} signal
 */
export async function withNames(evaluations, signal) {
    const names = await namesOf(evaluations.flatMap((item) => [item.job_id, ...mentioned(item.model)]), signal);
    return evaluations.map((item) => ({ ...item, job: names.get(item.job_id), maker: names.get(mentioned(item.model).at(-1)) }));
}

/** The model of an evaluation: of one that a job made, the job and what of it; the whole path is its title. */
export function showModel({ model, maker }) {
    const [, id, rest] = model.match(new RegExp(`.*${JOB.source}/(.+)$`)) ?? [];
    if (!id) return h("span", { class: "break" }, model);
    const what = rest.replace(/^(?:outputs|checkpoints)\//, "");
    return h("span", { class: "break", title: model }, jobLink(id, maker), " ", h("code", {}, what));
}
