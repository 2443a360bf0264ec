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

/** What a comparison came to, coloured where it is no chance. */
function showVerdict({ verdict, not_paired: obstacle }) {
    if (verdict === null) return obstacle ?? "–";
    const style = { regression: "failed", improvement: "succeeded" }[verdict];
    return style ? h("span", { class: `state state-${style}` }, verdict) : verdict;
}

/**
 * Shows a comparison: what got worse, then a line for each benchmark and below it its tasks.
 * @param {object} comparison As `/v1/evaluations/compare` answers it.
 * @returns {HTMLElement}
 */
export function showComparison(comparison) {
    const lines = comparison.benchmarks.flatMap((item) => [item, ...item.tasks.map((task) => ({ ...task, name: `${item.name}/${task.name}` }))]);
    const ends = lines.flatMap(({ ci_low: low, ci_high: high }) => [low ?? 0, high ?? 0]);
    const reach = Math.max(1e-9, ...ends.map(Math.abs));
    const labels = [
        "Benchmark", "Metric", "Base", "Candidate", "Difference", "95 % interval", "p", "p adjusted", "Items", "Better / worse", "Verdict",
    ];
    const { table, body, row } = makeTable("Comparison of two evaluations", labels);
    body.append(...lines.map((item) => row([
        item.name, item.metric, number(item.base), number(item.candidate), h("b", {}, signed(item.difference)),
        [item.ci_low === null ? "–" : `${signed(item.ci_low)} … ${signed(item.ci_high)}`, interval(item, reach)],
        number(item.p_value), number(item.p_adjusted), String(item.items), `${item.improved} / ${item.regressed}`, showVerdict(item),
    ])));
    const worse = comparison.regressions;
    return h("div", {}, worse.length ? h("p", { class: "notice error" }, `Worse beyond chance: ${worse.join(", ")}`) : null, table);
}

/**
 * Shows the items that one of two evaluations got right and the other did not.
 * @param {object} page As `/v1/evaluations/compare/items` answers it.
 * @returns {HTMLElement}
 */
export function showFlips(page) {
    const { table, body, row } = makeTable("Items that flipped", ["Item", "Verdict", "Question", "Expected", "Base", "Candidate"]);
    const answers = (side) => side.answers.map((answer) => answer ?? "no answer").join(" | ");
    body.append(...page.data.map((item) => row([
        `${item.benchmark} #${item.item}${item.task ? ` · ${item.task}` : ""}`, showVerdict({ verdict: item.direction }),
        h("span", { class: "break" }, item.question), item.expected, answers(item.base), answers(item.candidate),
    ])));
    const count = page.has_more ? `the first ${page.data.length} of ${page.total}` : String(page.total);
    return h("details", {}, h("summary", {}, `Items that flipped: ${count}`), page.total ? table : null);
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
        h("span", { class: "figure" }, `${metric} ${number(value)}${stderr ? ` ± ${number(Number(stderr.toPrecision(2)))}` : ""}`);
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
