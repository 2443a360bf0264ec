// The list of experiments.

import { get, rows } from "./api.js";
import { setTitle } from "./app.js";
import { h, keyed, makeTable, stateChip } from "./dom.js";
import { between, when } from "./format.js";
import { keepFresh } from "./live.js";

const STATES = ["", "pending", "running", "succeeded", "failed", "cancelled"];
const PAGE = 100;

/** How many jobs are in each state: a bar, and the same in words. */
function jobsBar(jobs) {
    const counts = new Map();
    for (const job of jobs) counts.set(job.state, (counts.get(job.state) ?? 0) + 1);
    const words = [...counts].map(([state, count]) => `${count} ${state}`).join(", ");
    const bar = h("span", { class: "jobs-bar", "aria-hidden": "true" });
    for (const [state, count] of counts) {
        const part = h("span", { class: `fill-${state}` });
        part.style.flexGrow = count;
        bar.append(part);
    }
    return [bar, h("span", { class: "small" }, words)];
}

/** Shows the page. */
export async function show(root, { query, signal }) {
    setTitle("Experiments");
    let wanted = PAGE;
    let shown = [];
    const state = h("select", {}, STATES.map((name) => h("option", { value: name, selected: name === query.get("state") }, name || "any")));
    const search = h("input", { type: "search", "data-search": "", placeholder: "name, project or tag", value: query.get("search") ?? "" });
    const { table, body, row } = makeTable("Experiments, newest first", ["State", "Name", "Project", "Jobs", "Submitted", "Took"]);
    const empty = h("p", { class: "empty", hidden: true });
    const more = h("button", { type: "button", hidden: true }, "Load more");

    const draw = () => {
        const text = search.value.trim().toLowerCase();
        const matching = shown.filter((item) => !text
            || `${item.name} ${item.project} ${Object.entries(item.tags ?? {}).flat().join(" ")}`.toLowerCase().includes(text));
        keyed(body, matching, (item) => item.id, (item) => row([
            stateChip(item.state),
            [h("a", { href: `#/experiments/${item.id}` }, item.name),
                item.message && item.state === "failed" ? h("span", { class: "small clamp" }, item.message) : null],
            item.project,
            jobsBar(item.jobs),
            when(item.created_at),
            between(item.created_at, item.finished_at) ?? "–",
        ]));
        table.hidden = matching.length === 0;
        empty.hidden = matching.length > 0;
        empty.textContent = shown.length ? "No experiment matches." : "No experiments yet. Submit one with: anneal submit spec.yaml";
    };
    const refresh = async () => {
        let items = [];
        let after = null;
        do {
            const page = await get("/v1/experiments", { query: { limit: PAGE, after, state: state.value }, signal });
            items = items.concat(rows(page));
            after = page.next;
        } while (after && items.length < wanted);
        shown = items;
        more.hidden = !after;
        draw();
    };
    root.append(
        h("h1", { tabindex: "-1" }, "Experiments"),
        h("div", { class: "toolbar" }, h("label", {}, "Search ", search), h("label", {}, "State ", state)),
        table, empty, more,
    );
    const soon = keepFresh({ refresh, signal });
    search.addEventListener("input", draw);
    state.addEventListener("change", soon);
    more.addEventListener("click", () => {
        wanted += PAGE;
        soon();
    });
}
