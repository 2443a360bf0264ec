// The dialog in which readers choose further runs for the charts.

import { list } from "./api.js";
import { ask } from "./dialogs.js";
import { h } from "./dom.js";

const ID = /^job_[0-9a-hjkmnp-tv-z]{26}$/;

/**
 * Asks for runs: those of the same experiment to tick, or any by its identifier.
 * @param {Array<{id: string, job: object}>} runs Those that are shown already.
 * @param {AbortSignal} signal
 * @returns {Promise<string[]|null>} Identifiers of jobs.
 */
export async function chooseRun(runs, signal) {
    const experiment = runs[0]?.job?.experiment_id;
    const shown = new Set(runs.map((run) => run.id));
    const siblings = experiment ? (await list("/v1/jobs", { experiment }, signal)).reverse() : [];
    const boxes = siblings.filter((job) => !shown.has(job.id) && job.started_at).map((job) => ({
        id: job.id,
        name: job.name,
        state: job.state,
        box: h("input", { type: "checkbox" }),
    }));
    const input = h("input", { type: "text", placeholder: "job_…", pattern: "job_[0-9a-hjkmnp-tv-z]{26}", autocomplete: "off" });
    return ask({
        title: "Add a run",
        submit: "Add",
        body: [
            boxes.length ? h("fieldset", {}, h("legend", {}, "From this experiment"),
                boxes.map(({ name, state, box }) => h("label", { class: "box" }, box, ` ${name}, ${state}`))) : null,
            h("label", { class: "field" }, "Or the identifier of any job", input),
        ].filter(Boolean),
        read: () => {
            if (!input.reportValidity()) return null;
            const chosen = boxes.filter(({ box }) => box.checked).map(({ id }) => id);
            return ID.test(input.value) ? [...chosen, input.value] : chosen;
        },
    });
}
