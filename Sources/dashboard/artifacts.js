// What a job left: checkpoints and evaluations, as tables and as marks on its curves.

import { list } from "./api.js";
import { showComparison, showFigures, showGate, showModel, withNames } from "./comparison.js";
import { h, jobLink, keyed, makeTable, section } from "./dom.js";
import { bytes, grouped, number, when } from "./format.js";

/**
 * Reads the checkpoints of a job, and the evaluations that it made or that judged one of its checkpoints.
 * @param {object} job
 * @param {AbortSignal} signal
 */
export async function readArtifacts(job, signal) {
    const [checkpoints, evaluations] = await Promise.all([
        list("/v1/checkpoints", { job: job.id }, signal, 1000),
        list("/v1/evaluations", { experiment: job.experiment_id }, signal, 1000),
    ]);
    const mine = new Set(checkpoints.map((checkpoint) => checkpoint.id));
    const own = evaluations.filter((item) => item.job_id === job.id || mine.has(item.model_id));
    return { checkpoints, evaluations: await withNames(own, signal) };
}

/** The places on the curves: those of checkpoints, and of the evaluations of checkpoints. Steps. */
export function marksOf({ checkpoints, evaluations }) {
    const steps = new Map(checkpoints.map((checkpoint) => [checkpoint.id, checkpoint.step]));
    return [
        ...checkpoints.map(({ step, best }) => ({ step, kind: "checkpoint", isBest: best })),
        ...evaluations.map((item) => ({ step: steps.get(item.model_id) ?? null, kind: "evaluation", isBest: false })),
    ].filter(({ step }) => step !== null);
}

function notes(item) {
    const words = [item.best && "best", item.pinned && "pinned", item.deleted_at && "deleted"].filter(Boolean);
    return words.length ? words.map((word) => h("span", { class: word === "deleted" ? "badge warn" : "badge" }, word)) : "–";
}

function compareLink({ compare }) {
    return compare ? h("a", { href: `#/evaluations?base=${compare.base}&candidate=${compare.candidate}` }, "compare") : "–";
}

/** The sections of a job's page; empty ones are hidden. */
export function artifactSections() {
    const points = makeTable("Checkpoints", ["Step", "Notes", "Metrics", "Size", "Saved", "Folder"]);
    const judged = makeTable("Evaluations", ["When", "Model", "Job", "Results", "Gate", "Against its base"]);
    const checkpoints = section("Checkpoints", points.table);
    const evaluations = section("Evaluations", judged.table);
    const draw = (found) => {
        checkpoints.hidden = found.checkpoints.length === 0;
        evaluations.hidden = found.evaluations.length === 0;
        keyed(points.body, found.checkpoints, (item) => item.id, (item) => points.row([
            item.step === null ? "–" : grouped(item.step),
            notes(item),
            Object.entries(item.metrics).map(([key, value]) => h("span", { class: "figure" }, `${key} ${number(value)}`)),
            bytes(item.bytes), when(item.created_at), h("code", { class: "break" }, item.path),
        ]));
        keyed(judged.body, found.evaluations, (item) => item.id, (item) => judged.row([
            when(item.created_at), showModel(item), jobLink(item.job_id, item.job), showFigures(item),
            showGate(item.gate) ?? "–", compareLink(item),
        ]));
        const compared = found.evaluations.filter((item) => item.compare);
        const shown = h("div", { class: "compared" }, compared.map((item) => showComparison(item.compare)));
        evaluations.querySelector(".compared")?.remove();
        if (compared.length) evaluations.append(shown);
    };
    return { checkpoints, evaluations, draw };
}
