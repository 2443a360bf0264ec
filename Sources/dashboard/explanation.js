// Why a job waits, or what it died of, in words and with what is known.

import { get } from "./api.js";
import { h, jobLink, shortID } from "./dom.js";
import { when } from "./format.js";
import { JOB, mentioned, namesOf } from "./names.js";

/** A sentence of the daemon, with links instead of identifiers. */
function linked(text, names) {
    return text.split(JOB).map((part) => (JOB.test(part) ? jobLink(part, names.get(part)) : part));
}

/** A sentence of the daemon with names instead of identifiers, for places that cannot hold links. */
export function named(text, names) {
    return text.split(JOB).map((part) => (JOB.test(part) ? names.get(part) ?? shortID(part) : part)).join("");
}

function holders(some, names) {
    if (!some?.length) return null;
    return h("ul", {}, some.map((holder) => h("li", {}, jobLink(holder.job_id, names.get(holder.job_id)), ` holds ${holder.amount}`,
        holder.ends_by ? [", at the latest until ", when(holder.ends_by)] : ", for as long as it runs")));
}

function evidence(item) {
    const data = Object.entries(item.data ?? {}).filter(([, value]) => value !== null && value !== "");
    const text = (value) => (Array.isArray(value) && value.every((line) => typeof line === "string") ? value.join("\n")
        : typeof value === "object" ? JSON.stringify(value, null, 1) : String(value));
    const terms = data.map(([key, value]) => [h("dt", {}, key.replaceAll("_", " ")), h("dd", {}, text(value))]);
    return h("li", {}, item.message, data.length ? h("dl", { class: "evidence" }, terms) : null);
}

/**
 * Reads why a job waits or ended, and the names of the jobs that this speaks of.
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<{explanation: object, names: Map<string, string>}>}
 */
export async function readExplanation(id, signal) {
    const explanation = await get(`/v1/jobs/${id}/explain`, { signal });
    const { message, waits_for: waits } = explanation;
    return { explanation, names: await namesOf(mentioned(JSON.stringify([message, waits])), signal) };
}

/**
 * Shows the answer of `/v1/jobs/{id}/explain`.
 * @param {object} explanation
 * @param {Map<string, string>} names Names of jobs by their id.
 * @returns {HTMLElement}
 */
export function showExplanation(explanation, names) {
    const other = (wait) => [" (", jobLink(wait.job_id, wait.name ?? shortID(wait.job_id)), wait.state ? `, ${wait.state}` : "", ")"];
    const waits = explanation.waits_for.map((wait) => h("li", {}, linked(wait.message, names),
        wait.job_id && !JOB.test(wait.message) ? other(wait) : null,
        wait.until ? [", until ", when(wait.until)] : null, holders(wait.holders, names)));
    // The daemon's message repeats what the list says, without its links.
    const isRepeated = waits.length > 0 && explanation.waits_for.every((wait) => explanation.message.includes(wait.message));
    return h("div", { class: "explanation" },
        isRepeated ? null : h("p", {}, linked(explanation.message, names)),
        explanation.expected_at ? h("p", {}, "It should start by ", when(explanation.expected_at),
            " if all before it run to their time limits.") : null,
        waits.length ? h("ul", {}, waits) : null,
        explanation.evidence.length ? h("details", {}, h("summary", {}, `Evidence (${explanation.evidence.length})`),
            h("ul", {}, explanation.evidence.map(evidence))) : null);
}
