// What a reinforcement job's model wrote at a step, and what it earned.

import { get } from "./api.js";
import { h, keyed, makeTable, section } from "./dom.js";
import { number, signed } from "./format.js";

const SHOWN = 20;

function parts(item) {
    const names = Object.keys(item.rewards);
    return names.length > 1 ? names.sort().map((name) => `${name} ${number(item.rewards[name])}`).join(", ") : null;
}

/**
 * The section of a job's page; hidden for jobs that are no reinforcement.
 * @param {string} id
 * @param {AbortSignal} signal
 */
export function rolloutsSection(id, signal) {
    const step = h("select", { "aria-label": "Step" });
    const order = h("select", { "aria-label": "Order" },
        h("option", { value: "kept" }, "by prompt"), h("option", { value: "best" }, "best first"), h("option", { value: "worst" }, "worst first"));
    const table = makeTable("Rollouts", ["Line", "Reward", "Advantage", "Tokens", "Expected", "Completion", "Prompt"]);
    const node = section("Rollouts", h("p", {}, "Step ", step, " ", order), table.table);
    node.hidden = true;
    let known = "";

    const load = async () => {
        const chosen = step.value ? `&step=${step.value}` : "";
        const view = await get(`/v1/jobs/${id}/rollouts?limit=${SHOWN}&order=${order.value}${chosen}`, { signal });
        node.hidden = view.steps.length === 0;
        if (known !== view.steps.join()) {
            known = view.steps.join();
            const value = step.value;
            step.replaceChildren(h("option", { value: "" }, "newest"), ...view.steps.toReversed().map((each) =>
                h("option", { value: String(each) }, String(each))));
            step.value = value;
        }
        const rows = view.data.map((item, place) => ({ ...item, place }));
        keyed(table.body, rows, (item) => item.place, (item) => table.row([
            String(item.line), h("span", { title: parts(item) }, number(item.reward)), signed(item.advantage),
            item.truncated ? `${item.tokens} (cut)` : String(item.tokens), item.expected ?? "–",
            h("pre", { class: "break" }, item.completion), h("pre", { class: "break small" }, item.prompt),
        ]));
    };
    step.addEventListener("change", load);
    order.addEventListener("change", load);
    const draw = async (job) => {
        if (job.kind === "train") await load();
    };
    return { node, draw };
}
