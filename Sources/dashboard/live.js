// Keeps lists fresh: reads them again when something happened, not more often than readers can follow.

import { toast } from "./dialogs.js";
import { followEvents } from "./stream.js";

const APART = 500;

/**
 * A function that runs `work` soon: never twice at a time, and at most twice a second.
 * @param {function(): Promise} work
 * @param {AbortSignal} signal
 */
export function coalesced(work, signal) {
    let isRunning = false;
    let isWanted = false;
    const run = async () => {
        isRunning = true;
        isWanted = false;
        try {
            await work();
        } catch (error) {
            if (!signal.aborted) toast(error.message, true);
        } finally {
            await new Promise((resolve) => setTimeout(resolve, APART));
            isRunning = false;
            if (isWanted && !signal.aborted) run();
        }
    };
    return () => {
        isWanted = true;
        if (!isRunning && !signal.aborted) run();
    };
}

/**
 * Follows states over all experiments and calls `refresh` whenever one matters.
 * @param {{refresh: function(): Promise, signal: AbortSignal, matters?: function(object): boolean}} options
 * @returns {function(): void} Asks for a refresh by hand.
 */
export function keepFresh({ refresh, signal, matters = () => true }) {
    const soon = coalesced(refresh, signal);
    followEvents({
        query: { types: "state,checkpoint,evaluation,gap,end" },
        signal,
        onGap: soon,
        onEvent: (event) => {
            if (!matters(event)) return;
            if (event.type === "state") announceState(event);
            soon();
        },
    }).catch(() => null);
    soon();
    return soon;
}

let spoken = [];
let timer = null;

/** Tells screen readers of a new state. Those of one second are told together, so that a busy queue does not talk without end. */
export function announceState(event) {
    const { name, state, previous } = event.data;
    if (event.attempt_id || !name || !previous || state === "starting" || state === "queued") return;
    spoken.push(`${name} is ${state}`);
    timer ??= setTimeout(() => {
        const more = spoken.length > 4 ? ` and ${spoken.length - 4} more changes` : "";
        document.getElementById("announcer").textContent = spoken.slice(0, 4).join(", ") + more;
        spoken = [];
        timer = null;
    }, 1000);
}
