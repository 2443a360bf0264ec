// All evaluations, and a comparison of two of them.

import { get, list } from "./api.js";
import { setTitle } from "./app.js";
import { showComparison, showFigures, showFlips, showGate, showModel, withNames } from "./comparison.js";
import { h, jobLink, keyed, makeTable } from "./dom.js";
import { when } from "./format.js";
import { keepFresh } from "./live.js";

/** Shows the page. `base` and `candidate` in the address name a comparison. */
export async function show(root, { query, signal }) {
    setTitle("Evaluations");
    const chosen = { base: query.get("base"), candidate: query.get("candidate") };
    let shown = [];
    const search = h("input", { type: "search", "data-search": "", placeholder: "model, job or benchmark" });
    const labels = ["Base", "Candidate", "When", "Model", "Job", "Results", "Gate"];
    const { table, body, row } = makeTable("Evaluations, newest first", labels);
    const empty = h("p", { class: "empty", hidden: true });
    const result = h("div", { "aria-live": "polite" });

    const compare = async () => {
        if (!chosen.base || !chosen.candidate || chosen.base === chosen.candidate) {
            return result.replaceChildren(h("p", { class: "small" }, "Choose a base and a candidate to compare them item by item."));
        }
        history.replaceState(null, "", `#/evaluations?base=${chosen.base}&candidate=${chosen.candidate}`);
        try {
            const [comparison, flips] = await Promise.all(
                ["", "/items"].map((part) => get(`/v1/evaluations/compare${part}`, { query: chosen, signal })));
            result.replaceChildren(showComparison(comparison), showFlips(flips));
        } catch (error) {
            if (!signal.aborted) result.replaceChildren(h("p", { class: "notice error" }, error.message));
        }
    };
    const radio = (role, item) => h("input", {
        type: "radio", name: role, "aria-label": `${item.model} of ${item.created_at} as ${role}`, checked: chosen[role] === item.id,
        on: {
            change: () => {
                chosen[role] = item.id;
                compare();
            },
        },
    });
    const draw = () => {
        const text = search.value.trim().toLowerCase();
        const words = (item) => [item.model, item.maker, item.job, ...item.benchmarks.map(({ name }) => name)].join(" ").toLowerCase();
        const matching = shown.filter((item) => words(item).includes(text));
        keyed(body, matching, (item) => item.id, (item) => row([
            radio("base", item), radio("candidate", item), when(item.created_at), showModel(item),
            jobLink(item.job_id, item.job), showFigures(item), showGate(item.gate) ?? "–",
        ]));
        table.hidden = matching.length === 0;
        empty.hidden = matching.length > 0;
        empty.textContent = shown.length ? "No evaluation matches." : "No evaluations yet.";
    };
    root.append(h("h1", { tabindex: "-1" }, "Evaluations"), h("div", { class: "toolbar" }, h("label", {}, "Search ", search)),
        h("section", { "aria-label": "Comparison" }, h("h2", {}, "Comparison"), result), table, empty);
    search.addEventListener("input", draw);
    keepFresh({
        signal,
        matters: (event) => event.type === "evaluation",
        refresh: async () => {
            shown = await withNames(await list("/v1/evaluations", {}, signal, 500), signal);
            draw();
        },
    });
    await compare();
}
