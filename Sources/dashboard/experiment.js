// One experiment: its graph, its jobs, its spec.

import { experimentButtons, jobButtons } from "./actions.js";
import { get, list, rows } from "./api.js";
import { setTitle } from "./app.js";
import { showFigures, showGate, showModel, withNames } from "./comparison.js";
import { showDiff } from "./diff.js";
import { facts, h, jobLink, keyed, makeTable, section, stateChip } from "./dom.js";
import { between, dayAndClock, isActive, plain, progressBar, reasonWords, resources, signed, when } from "./format.js";
import { drawJobs } from "./jobgraph.js";
import { keepFresh } from "./live.js";
import { yamlLines } from "./yaml.js";

/** Lets readers compare the spec with another experiment's. */
function specSection(experiment, signal) {
    const mine = yamlLines(experiment.spec ?? {});
    const select = h("select", {}, h("option", { value: "" }, "choose an experiment"));
    const result = h("div", { "aria-live": "polite" });
    // The list is long and seldom wanted: it is read when the reader turns to it.
    select.addEventListener("focus", async () => {
        const page = await get("/v1/experiments", { query: { limit: 200 }, signal });
        const others = rows(page).filter((other) => other.id !== experiment.id);
        others.sort((one, other) => (other.name === experiment.name) - (one.name === experiment.name));
        select.append(...others.map((other) => h("option", { value: other.id }, `${other.name}, ${dayAndClock(other.created_at)}`)));
    }, { once: true });
    select.addEventListener("change", async () => {
        result.replaceChildren();
        if (!select.value) return;
        const other = await get(`/v1/experiments/${select.value}`, { signal });
        const names = [h("del", {}, `− ${other.name}`), " ", h("ins", {}, `+ ${experiment.name}`), " (this one)"];
        result.replaceChildren(h("p", { class: "small" }, names),
            showDiff(yamlLines(other.spec ?? {}), mine));
    });
    return section("Spec",
        h("details", {}, h("summary", {}, `Show the spec (${mine.length} lines)`),
            h("pre", { class: "code", tabindex: "0", role: "region", "aria-label": "Spec as YAML" }, mine.join("\n"))),
        h("div", { class: "toolbar" }, h("label", {}, "Compare with ", select)), result);
}

/** What tells a member of a matrix from the others. */
function matrixOf(job) {
    return Object.entries(job.matrix ?? {}).map(([key, value]) => h("span", { class: "tag" }, `${key}: ${plain(value)}`));
}

/** What the experiment came to: its evaluations, in the order of its jobs; hidden while there are none. */
function evaluationsSection(id, signal) {
    const { table, body, row } = makeTable("Evaluations", ["Job", "Model", "Results", "Difference", "Gate"]);
    const node = section("Evaluations", table);
    node.hidden = true;
    const difference = ({ compare }) => {
        if (!compare) return "–";
        const figures = compare.benchmarks.map((item) => h("div", {}, `${item.name} `, h("b", {}, signed(item.difference))));
        return [...figures, h("a", { class: "small", href: `#/evaluations?base=${compare.base}&candidate=${compare.candidate}` }, "compare")];
    };
    const draw = async (jobs) => {
        const found = await withNames(await list("/v1/evaluations", { experiment: id }, signal, 500), signal);
        const order = new Map(jobs.map((job, index) => [job.id, index]));
        const known = new Map(jobs.map((job) => [job.id, job]));
        node.hidden = found.length === 0;
        found.sort((one, other) => order.get(one.job_id) - order.get(other.job_id));
        keyed(body, found, (item) => item.id, (item) => row([
            [jobLink(item.job_id, item.job), " ", matrixOf(known.get(item.job_id) ?? {})],
            showModel(item), showFigures(item), difference(item), showGate(item.gate) ?? "–",
        ]));
    };
    return { node, draw };
}

/** The table of jobs, with boxes to choose those whose curves are to be compared. */
function jobsSection(soon) {
    const chosen = new Set();
    const { table, body, row } = makeTable("Jobs", ["Compare", "State", "Name", "Kind", "Asks for", "Progress", "Took", "Actions"]);
    const compare = h("a", { class: "button", hidden: true });
    const update = () => {
        compare.hidden = chosen.size < 2;
        compare.href = `#/compare?jobs=${[...chosen].join(",")}`;
        compare.textContent = `Compare the curves of ${chosen.size}`;
    };
    const draw = (jobs) => keyed(body, jobs, (job) => job.id, (job) => {
        const box = h("input", { type: "checkbox", "aria-label": `Choose ${job.name} to compare its curves`, checked: chosen.has(job.id) });
        box.addEventListener("change", () => {
            if (box.checked) chosen.add(job.id);
            else chosen.delete(job.id);
            update();
        });
        const isPlain = !job.reason || ["succeeded", "running"].includes(job.state);
        const why = job.message ?? (isPlain ? null : reasonWords(job.reason));
        return row([
            box,
            stateChip(job.state),
            [jobLink(job.id, job.name), " ", matrixOf(job), why ? h("span", { class: "small clamp", title: why }, why) : null],
            job.kind,
            resources(job.resources),
            isActive(job.state) ? progressBar(job.progress) ?? "–" : "–",
            between(job.started_at, job.finished_at) ?? (job.started_at ? ["since ", when(job.started_at)] : "–"),
            h("span", { class: "buttons" }, jobButtons(job, soon)),
        ]);
    });
    return { node: section("Jobs", table, compare), draw };
}

/** Shows the page. */
export async function show(root, { id, signal }) {
    const head = h("div", {}, h("h1", { tabindex: "-1" }, "Experiment"));
    const graph = h("div", { class: "placeholder" });
    root.append(head, section("Graph", graph));
    let drawn = "";
    let soon = () => null;
    const table = jobsSection(() => soon());
    const evaluations = evaluationsSection(id, signal);
    root.append(table.node, evaluations.node);
    let isFirst = true;

    const refresh = async () => {
        const [experiment, jobs] = await Promise.all([
            get(`/v1/experiments/${id}`, { signal }),
            list("/v1/jobs", { experiment: id }, signal),
        ]);
        jobs.reverse();
        setTitle(experiment.name);
        drawHead(head, experiment, () => soon());
        const shape = JSON.stringify(jobs.map((job) => [job.id, job.state, job.needs]));
        if (shape !== drawn) {
            drawn = shape;
            const left = graph.firstChild?.scrollLeft ?? 0;
            graph.className = "";
            graph.replaceChildren(drawJobs(jobs));
            graph.firstChild.scrollLeft = left;
        }
        table.draw(jobs);
        await evaluations.draw(jobs);
        if (isFirst) root.append(specSection(experiment, signal));
        isFirst = false;
    };
    await refresh();
    soon = keepFresh({ refresh, signal, matters: (event) => event.experiment_id === id });
}

function drawHead(head, experiment, after) {
    const { state, message, reason } = experiment;
    const signature = JSON.stringify({ ...experiment, jobs: null, spec: null });
    if (head.signature === signature) return;
    head.signature = signature;
    const hadFocus = head.contains(document.activeElement);
    const title = h("h1", { tabindex: "-1" }, experiment.name, " ", stateChip(state));
    head.replaceChildren(
        h("div", { class: "head" }, title, h("span", { class: "buttons" }, experimentButtons(experiment, after))),
        ...[experiment.description ? h("p", {}, experiment.description) : null,
            message || (reason && reason !== "succeeded")
                ? h("p", { class: state === "failed" ? "notice error" : "notice" }, message ?? reasonWords(reason)) : null,
        ].filter(Boolean),
        facts([
            ["Project", experiment.project],
            ["Submitted", when(experiment.created_at)],
            ["Ended", when(experiment.finished_at)],
            ["Took", between(experiment.created_at, experiment.finished_at)],
            ["Tags", Object.entries(experiment.tags ?? {}).map(([key, value]) => h("span", { class: "tag" }, `${key}: ${value}`))],
            ["Identifier", h("code", {}, experiment.id)],
        ].filter(([, value]) => !Array.isArray(value) || value.length)),
    );
    if (hadFocus) title.focus({ preventScroll: true });
}
