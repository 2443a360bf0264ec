// What readers can do to jobs, experiments and GPUs. Everything asks first.

import { send } from "./api.js";
import { askForNumber, askForText, confirmed, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { isActive } from "./format.js";

/** Does it, and tells how it went. */
async function attempt(what, work, after) {
    try {
        await work();
        toast(what);
        after?.();
    } catch (error) {
        toast(error.message, true);
    }
}

function button(label, subject, run, isDangerous = false) {
    const style = isDangerous ? "danger quiet" : "quiet";
    return h("button", { type: "button", class: style, "aria-label": `${label} ${subject}`, on: { click: run } }, label);
}

const QUESTIONS = {
    cancel: ["Cancel", "It is asked to stop, may save its work, and does not go on by itself.", "cancelled", true],
    retry: ["Retry", "It runs once more, from its last checkpoint where it has one.", "runs again", false],
    pause: ["Pause", "It saves its work and gives its GPUs back until somebody resumes it.", "is paused", false],
    resume: ["Resume", "It waits for its turn and goes on where it stopped.", "goes on", false],
    hold: ["Hold", "It does not start until somebody releases it.", "is held", false],
    release: ["Release", "It may start as soon as its turn comes.", "is released", false],
};

function jobButton(action, job, after) {
    const [verb, text, done, isDangerous] = QUESTIONS[action];
    return button(verb, job.name, async () => {
        if (!await confirmed(`${verb} ${job.name}?`, text, `${verb} the job`, isDangerous)) return;
        attempt(`${job.name} ${done}`, () => send("POST", `/v1/jobs/${job.id}/${action}`), after);
    }, isDangerous);
}

/** A button that changes a job's priority. */
export function priorityButton(job, after) {
    return h("button", {
        type: "button",
        class: "quiet",
        "aria-label": `Priority of ${job.name}: ${job.priority}. Change`,
        on: {
            click: async () => {
                const priority = await askForNumber(`Priority of ${job.name}`, "From 0 to 100; the higher goes first",
                    { value: job.priority, min: 0, max: 100, submit: "Change it" });
                if (priority === null || priority === job.priority) return;
                attempt(`${job.name} has priority ${priority}`, () => send("PATCH", `/v1/jobs/${job.id}`, { priority }), after);
            },
        },
    }, String(job.priority), h("span", { "aria-hidden": "true" }, " ✎"));
}

/**
 * The buttons that make sense for a job in its state.
 * @param {{id: string, name: string, state: string, held?: boolean}} job
 * @param {function(): void} after Called when something was done.
 */
export function jobButtons(job, after) {
    const make = (action) => jobButton(action, job, after);
    switch (job.state) {
    case "waiting":
    case "queued": return [make(job.held ? "release" : "hold"), make("cancel")];
    case "starting":
    case "running": return [make("pause"), make("cancel")];
    case "paused": return [make("resume"), make("cancel")];
    case "stopping":
    case "succeeded": return [];
    default: return [make("retry")];
    }
}

/** The buttons for an experiment in its state. */
export function experimentButtons(experiment, after) {
    const path = `/v1/experiments/${experiment.id}`;
    const { name } = experiment;
    if (isActive(experiment.state)) {
        return [button("Cancel", name, async () => {
            const text = "Every job that has not ended is asked to stop.";
            if (await confirmed(`Cancel ${name}?`, text, "Cancel the experiment", true)) {
                attempt(`${name} is cancelled`, () => send("POST", `${path}/cancel`), after);
            }
        }, true)];
    }
    if (experiment.state === "succeeded") return [];
    return [button("Retry", name, async () => {
        const text = "What did not succeed runs again; what succeeded is kept.";
        if (await confirmed(`Retry ${name}?`, text, "Retry the experiment")) {
            attempt(`${name} runs again`, () => send("POST", `${path}/retry`), after);
        }
    })];
}

/** The button that takes a GPU out of use or puts it back. */
export function drainButton(gpu, after) {
    const path = `/v1/gpus/${encodeURIComponent(gpu.uuid)}`;
    if (gpu.health === "drained" || gpu.health === "faulty") {
        return button("Undrain", `GPU ${gpu.index}`, async () => {
            if (!await confirmed(`Undrain GPU ${gpu.index}?`, "Jobs may be placed on it again.", "Undrain it")) return;
            attempt(`GPU ${gpu.index} is in use again`, () => send("POST", `${path}/undrain`), after);
        });
    }
    return button("Drain", `GPU ${gpu.index}`, async () => {
        const reason = await askForText(`Drain GPU ${gpu.index}?`, "What runs on it goes on; nothing new starts. Why (others will see it)?",
            { submit: "Drain it", maxlength: 100 });
        if (reason === null) return;
        attempt(`GPU ${gpu.index} is drained`, () => send("POST", `${path}/drain`, reason ? { reason } : {}), after);
    });
}
