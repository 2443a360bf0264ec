// What a reinforcement job's model wrote at a step, and what it earned.

import { get } from "./api.js";
import { h, keyed, makeTable, section } from "./dom.js";
import { number, signed } from "./format.js";

const SHOWN = 20;

/** What a sum of rewards is made of; null where there is one alone. */
function parts(item) {
    const names = Object.keys(item.rewards);
    if (names.length < 2) return null;
    return h("span", { class: "small" }, names.sort().map((name) => `${name} ${number(item.rewards[name])}`).join(", "));
}

/** Text with its control characters written out, which a page would show as nothing. */
function visible(text) {
    return text.replace(/[^\n\t\P{Cc}]/gu, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
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
    const table = makeTable("Rollouts", ["Prompt", "Completion", "Expected", "Reward", "Advantage", "Tokens", "Line"]);
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
            h("pre", { class: "break" }, visible(item.prompt)), h("pre", { class: "break" }, visible(item.completion)), item.expected ?? "–",
            [number(item.reward), parts(item)], signed(item.advantage),
            item.truncated ? `${item.tokens} (cut)` : String(item.tokens), String(item.line),
        ]));
    };
    step.addEventListener("change", load);
    order.addEventListener("change", load);
    const draw = async (job) => {
        if (job.kind === "train") await load();
    };
    return { node, draw };
}
