// Several runs on the same charts, and what they differ in.

import { get } from "./api.js";
import { setTitle } from "./app.js";
import { marksOf, readArtifacts } from "./artifacts.js";
import { h, jobLink, keyed, makeTable, section, stateChip } from "./dom.js";
import { between, plain, when } from "./format.js";
import { announceState, coalesced } from "./live.js";
import { Panel } from "./panel.js";
import { specsSection } from "./specs.js";

function figures(object) {
    const entries = Object.entries(object ?? {});
    return entries.length ? entries.map(([key, value]) =>
        h("span", { class: "figure" }, `${key} `, h("b", {}, plain(value)))) : "–";
}

/** Shows the page. `jobs` in the address names the runs, `key` a search for keys. */
export async function show(root, { query, signal }) {
    setTitle("Compare runs");
    const ids = [...new Set((query.get("jobs") ?? "").split(",").filter(Boolean))];
    const { table, body, row } = makeTable("Runs", ["State", "Job", "Experiment", "Matrix", "Summary", "Started", "Took"]);
    const specs = specsSection(signal);
    const panel = new Panel({
        signal,
        linksToComparison: false,
        filter: query.get("key") ?? "",
        onEvent: (event) => {
            if (event.type === "metric") return;
            if (event.type === "state") announceState(event);
            soon();
        },
        onRuns: (shown) => {
            history.replaceState(null, "", `#/compare?jobs=${shown.join(",")}`);
            soon();
        },
    });
    const refresh = async () => {
        const jobs = await Promise.all(panel.runs.map((run) => get(`/v1/jobs/${run.id}`, { signal })));
        jobs.forEach((job) => panel.describe(job));
        keyed(body, jobs.map((job) => ({ ...job, progress: null })), (job) => job.id, (job) => row([
            stateChip(job.state), jobLink(job.id, job.name), h("a", { href: `#/experiments/${job.experiment_id}` }, job.experiment),
            figures(job.matrix), figures(job.summary), when(job.started_at) ?? "–", between(job.started_at, job.finished_at) ?? "–",
        ]));
        await specs.draw(jobs);
        await Promise.all(jobs.map(async (job) => panel.describe(job, marksOf(await readArtifacts(job, signal)))));
    };
    const soon = coalesced(refresh, signal);
    root.append(h("h1", { tabindex: "-1" }, "Compare runs"), table, section("Curves", panel.node), specs.node);
    if (ids.length === 0) {
        return table.replaceChildren(h("p", { class: "empty" }, "Choose jobs on an experiment's page, or add a run below."));
    }
    await panel.start(ids);
    soon();
}
