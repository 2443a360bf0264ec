// The names of jobs that the daemon's sentences, paths and lists speak of by their identifiers.

import { get } from "./api.js";

/** A job's identifier within a text. */
export const JOB = /(job_[0-9a-z]{26})/;
/** So many unknown names are read at a time; a text of more is no worse with identifiers. */
const MOST = 40;

const known = new Map();

/** The jobs that a text speaks of. */
export function mentioned(text) {
    return (text ?? "").match(new RegExp(JOB, "g")) ?? [];
}

/**
 * Reads the names of jobs. Names never change, so each is read once.
 * @param {string[]} ids
 * @param {AbortSignal} signal
 * @returns {Promise<Map<string, string>>} Names by identifier, without those of jobs that are gone.
 */
export async function namesOf(ids, signal) {
    const missing = [...new Set(ids)].filter((id) => !known.has(id)).slice(0, MOST);
    await Promise.all(missing.map(async (id) => {
        try {
            known.set(id, (await get(`/v1/jobs/${id}`, { signal })).name);
        } catch (error) {
            if (error.status !== 404) throw error;
        }
    }));
    return known;
}
