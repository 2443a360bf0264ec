// The queue: who is next, and why the others wait.

import { jobButtons, priorityButton } from "./actions.js";
import { list } from "./api.js";
import { setTitle } from "./app.js";
import { h, jobLink, keyed, makeTable, stateChip } from "./dom.js";
import { reasonWords, resources, when } from "./format.js";
import { named, readExplanation, showExplanation } from "./explanation.js";
import { keepFresh } from "./live.js";
import { mentioned, namesOf } from "./names.js";

/** The reason in words; the whole explanation is read when the reader wants it. */
function reason(item, signal) {
    const words = item.message ? item.message : item.reason ? reasonWords(item.reason) : "it is next";
    const box = h("div");
    const details = h("details", {}, h("summary", { class: "clamp" }, words), box);
    details.addEventListener("toggle", async () => {
        if (!details.open) return;
        try {
            const { explanation, names } = await readExplanation(item.job_id, signal);
            box.replaceChildren(showExplanation(explanation, names));
        } catch (error) {
            if (!signal.aborted) box.replaceChildren(h("p", { class: "error" }, error.message));
        }
    });
    return details;
}

/** Shows the page. */
export async function show(root, { signal }) {
    setTitle("Queue");
    let shown = [];
    const search = h("input", { type: "search", "data-search": "", placeholder: "job, experiment or project" });
    const labels = ["Place", "Job", "State", "Priority", "Asks for", "Why it waits", "Expected", "Actions"];
    const { table, body, row } = makeTable("Jobs that have not started, in the order in which they will be served", labels);
    const empty = h("p", { class: "empty", hidden: true }, "Nothing waits.");
    let soon = () => null;
    const draw = () => {
        const text = search.value.trim().toLowerCase();
        const matching = shown.filter((item) => `${item.name} ${item.experiment} ${item.project}`.toLowerCase().includes(text));
        keyed(body, matching, (item) => item.job_id, (item) => {
            const job = { id: item.job_id, name: item.name, state: item.state, priority: item.priority, held: item.reason === "held" };
            return row([
                item.position === null ? "–" : String(item.position + 1),
                [jobLink(item.job_id, item.name), h("span", { class: "small" }, `${item.experiment} · ${item.project}`)],
                stateChip(item.state),
                priorityButton(job, soon),
                resources(item.resources),
                reason(item, signal),
                when(item.expected_at) ?? "–",
                h("span", { class: "buttons" }, jobButtons(job, soon)),
            ]);
        });
        table.hidden = matching.length === 0;
        empty.hidden = matching.length > 0;
        empty.textContent = shown.length ? "No job matches." : "Nothing waits.";
    };
    root.append(h("h1", { tabindex: "-1" }, "Queue"),
        h("div", { class: "toolbar" }, h("label", {}, "Search ", search)), table, empty);
    search.addEventListener("input", draw);
    soon = keepFresh({
        signal,
        refresh: async () => {
            const items = await list("/v1/queue", {}, signal, 1000);
            const names = await namesOf(items.flatMap((item) => mentioned(item.message)), signal);
            shown = items.map((item) => ({ ...item, message: item.message && named(item.message, names) }));
            draw();
        },
    });
}
