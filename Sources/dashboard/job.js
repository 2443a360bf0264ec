// One job: its curves first, then its log and all else that is known of it.

import { jobButtons, priorityButton } from "./actions.js";
import { get } from "./api.js";
import { setTitle } from "./app.js";
import { artifactSections, marksOf, readArtifacts } from "./artifacts.js";
import { facts, h, keyed, makeTable, section, shortID, stateChip } from "./dom.js";
import { readExplanation, showExplanation } from "./explanation.js";
import { between, duration, isActive, plain, progressBar, resources, when } from "./format.js";
import { generationsSection } from "./generations.js";
import { rolloutsSection } from "./rollouts.js";
import { lineageSection } from "./lineage.js";
import { announceState, coalesced } from "./live.js";
import { LogViewer } from "./logs.js";
import { Panel } from "./panel.js";

const UNEXPLAINED = new Set(["running", "starting", "stopping", "succeeded"]);

function outputs(job) {
    return Object.entries(job.outputs ?? {}).map(([name, output]) => h("div", {}, `${name}: ${output.type} `,
        h("code", { class: "break" }, output.path ?? output.id ?? "")));
}

function summaryFigures(job) {
    return Object.entries(job.summary ?? {}).filter(([, value]) => value !== null).map(([key, value]) =>
        h("span", { class: "figure" }, `${key} `, h("b", {}, plain(value))));
}

function drawHead(head, job, after) {
    const signature = JSON.stringify({ ...job, progress: null });
    if (head.signature === signature) return;
    head.signature = signature;
    const hadFocus = head.contains(document.activeElement);
    const title = h("h1", { tabindex: "-1" }, job.name, " ", stateChip(job.state));
    const last = job.attempts.at(-1);
    const list = (items) => (items.length ? items : null);
    head.replaceChildren(
        h("p", { class: "crumbs" }, h("a", { href: `#/experiments/${job.experiment_id}` }, job.experiment)),
        h("div", { class: "head" }, title, h("span", { class: "buttons" }, jobButtons(job, after))),
        facts([
            ["Kind", job.engine ? `${job.kind} (${job.engine})` : job.kind],
            ["Project", job.project],
            ["Priority", isActive(job.state) ? priorityButton(job, after) : String(job.priority)],
            ["Asks for", resources(job.resources)],
            ["Runs on", job.cluster],
            ["GPUs", last?.gpus.length ? last.gpus.map(shortGPU).join(", ") : null],
            ["Started", when(job.started_at)],
            ["Ended", when(job.finished_at)],
            ["Took", between(job.started_at, job.finished_at)],
            ["Time limit", job.timeout_seconds === null ? null : duration(job.timeout_seconds)],
            ["Preemptible", job.preemptible ? "yes" : null],
            ["Matrix", list(Object.entries(job.matrix ?? {}).map(([key, value]) => h("span", { class: "tag" }, `${key}: ${value}`)))],
            ["Cached from", job.cached_from ? h("a", { href: `#/jobs/${job.cached_from}` }, shortID(job.cached_from)) : null],
            ["Summary", list(summaryFigures(job))],
            ["Outputs", list(outputs(job))],
            ["Identifier", h("code", {}, job.id)],
        ]),
    );
    if (hadFocus) title.focus({ preventScroll: true });
}

function shortGPU(uuid) {
    return uuid.length > 12 ? `…${uuid.slice(-6)}` : uuid;
}

function attemptsSection() {
    const { table, body, row } = makeTable("Attempts", ["Number", "State", "Cause", "Message", "Exit", "From step", "Started", "Took"]);
    const node = section("Attempts", table);
    const draw = (attempts) => {
        node.hidden = attempts.length === 0;
        keyed(body, attempts, (item) => item.id, (item) => row([
            item.external_id ? [String(item.number), h("span", { class: "small" }, ` ${item.cluster} ${item.external_id}`)] : String(item.number),
            stateChip(item.state),
            item.cause && item.cause !== item.state ? item.cause.replaceAll("_", " ") : "–", item.message ?? "–",
            item.signal ? `signal ${item.signal}` : item.exit_code ?? "–", item.resumed_from_step ?? "–",
            when(item.started_at) ?? "–",
            between(item.started_at, item.finished_at) ?? "–",
        ]));
    };
    return { node, draw };
}

/** The box that tells why the job waits or how it ended. */
function explanationBox(id, signal) {
    const box = h("div", { "aria-live": "polite" });
    const draw = async (job) => {
        const wanted = !UNEXPLAINED.has(job.state);
        if (!wanted) return box.replaceChildren();
        const { explanation, names } = await readExplanation(id, signal);
        const signature = JSON.stringify(explanation);
        if (box.signature === signature && box.firstChild) return;
        box.signature = signature;
        const isBad = ["failed", "lost"].includes(job.state);
        const cause = job.reason && !isActive(job.state) ? h("p", {}, h("b", {}, `Cause: ${job.reason.replaceAll("_", " ")}`)) : null;
        const shown = h("div", { class: isBad ? "notice error" : "notice" });
        shown.append(h("h2", {}, isActive(job.state) ? "Why it waits" : "How it ended"));
        if (cause) shown.append(cause);
        if (job.message && !explanation.message.includes(job.message)) shown.append(h("p", {}, job.message));
        shown.append(showExplanation(explanation, names));
        box.replaceChildren(shown);
    };
    return { box, draw };
}

/** Shows the page. `with` in the address names further runs on the charts, `key` a search for keys. */
export async function show(root, { id, query, signal }) {
    const head = h("div", {}, h("h1", { tabindex: "-1" }, "Job"));
    const progress = h("div", { class: "job-progress" });
    const explanation = explanationBox(id, signal);
    const attempts = attemptsSection();
    const artifacts = artifactSections();
    artifacts.draw({ checkpoints: [], evaluations: [] });
    attempts.draw([]);
    const generations = generationsSection(id, signal);
    const rollouts = rolloutsSection(id, signal);
    const log = new LogViewer(id, signal);
    const panel = new Panel({
        signal,
        filter: query.get("key") ?? "",
        onEvent: (event) => took(event),
        onRuns: (ids) => {
            const others = ids.filter((other) => other !== id);
            history.replaceState(null, "", `#/jobs/${id}${others.length ? `?with=${others.join(",")}` : ""}`);
            soon();
        },
    });
    let kind = null;
    const drawProgress = (job) => progress.replaceChildren(...[isActive(job.state) ? progressBar(job.progress) : null].filter(Boolean));

    const describeOther = async (run) => {
        const job = await get(`/v1/jobs/${run.id}`, { signal });
        panel.describe(job, marksOf(await readArtifacts(job, signal)));
    };
    const refresh = async () => {
        const job = await get(`/v1/jobs/${id}`, { signal });
        kind = job.kind;
        setTitle(job.name);
        drawHead(head, job, soon);
        drawProgress(job);
        attempts.draw(job.attempts);
        log.setAttempts(job.attempts);
        panel.describe(job);
        const [found] = await Promise.all([readArtifacts(job, signal), explanation.draw(job), generations.draw(job), rollouts.draw(job)]);
        artifacts.draw(found);
        // Of an evaluation the result is what readers come for.
        if (kind === "evaluate" && curves.previousElementSibling !== artifacts.evaluations) curves.before(artifacts.evaluations);
        panel.describe(job, marksOf(found));
        await Promise.all(panel.runs.filter((run) => run.id !== id && !run.job).map(describeOther));
    };
    const soon = coalesced(refresh, signal);
    const soonGenerations = coalesced(() => (kind === "generate" ? generations.draw({ kind }) : null), signal);
    let lastProgress = 0;
    const took = (event) => {
        if (event.type === "metric") {
            if (event.job_id !== id || performance.now() - lastProgress < 250) return;
            lastProgress = performance.now();
            soonGenerations();
            return drawProgress({ state: "running", progress: event.data.progress });
        }
        if (event.type === "state") announceState(event);
        soon();
    };

    const key = "◇ checkpoint · ◆ best checkpoint · ▲ evaluation · ┆ attempt. Drag to zoom, double-click for the whole curve.";
    const curves = section("Curves", panel.node, h("p", { class: "small" }, key));
    root.append(head, progress, explanation.box, generations.node, curves, rollouts.node, section("Log", log.node), attempts.node,
        artifacts.checkpoints, artifacts.evaluations, lineageSection(id, signal));
    const others = (query.get("with") ?? "").split(",").filter(Boolean);
    // The curves do not wait for the rest.
    await Promise.all([panel.start([id, ...others]).then(() => {
        log.start();
        if (others.length) soon();
    }), refresh()]);
}
