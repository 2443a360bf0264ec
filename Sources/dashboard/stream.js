// Follows the daemon's streams over fetch. EventSource would forget its position with its connection object, and cannot send a token.

import { APIError, request } from "./api.js";
import { BackOff, pause, report } from "./connection.js";

/** Silence after which a connection is taken for dead; the daemon pings every 15 seconds. Milliseconds. */
const SILENCE = 40_000;
/** How long a hidden tab keeps its connections; browsers allow only six to a host, over all tabs. Milliseconds. */
const HIDDEN = 5000;

/** Resolves as soon as the page can be seen. */
function shown(signal) {
    return new Promise((resolve) => {
        if (!document.hidden || signal.aborted) return resolve();
        const done = () => {
            if (document.hidden && !signal.aborted) return;
            document.removeEventListener("visibilitychange", done);
            signal.removeEventListener("abort", done);
            resolve();
        };
        document.addEventListener("visibilitychange", done);
        signal.addEventListener("abort", done);
    });
}

/** Ends one connection when the reader leaves, when the tab is long hidden, or when the daemon falls silent. */
function connectionSignal(outer) {
    const controller = new AbortController();
    let silence;
    let hidden;
    const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => controller.abort(), SILENCE);
    };
    const visibility = () => {
        clearTimeout(hidden);
        if (document.hidden) hidden = setTimeout(() => controller.abort(), HIDDEN);
    };
    const leave = () => controller.abort();
    outer.addEventListener("abort", leave);
    document.addEventListener("visibilitychange", visibility);
    visibility();
    heard();
    const close = () => {
        clearTimeout(silence);
        clearTimeout(hidden);
        outer.removeEventListener("abort", leave);
        document.removeEventListener("visibilitychange", visibility);
        controller.abort();
    };
    return { signal: controller.signal, heard, close };
}

/** The lines of a body, as they come: an array for each piece that arrived. */
async function* lineBatches(body, heard) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        heard();
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        if (lines.length) yield lines;
    }
}

/**
 * Keeps one stream open until it says that it has ended or the signal ends it, with pauses of 0.5 to 10 seconds between attempts.
 * @param {object} options
 * @param {string} options.path
 * @param {string} options.accept
 * @param {function(): object} options.query Asked anew for each connection, so that it can tell the position.
 * @param {function(string[]): boolean} options.onLines True once the stream has ended for good.
 * @param {function(): void} [options.onOpen]
 * @param {AbortSignal} options.signal
 * @returns {Promise<boolean>} True where it ended by itself.
 */
export async function followLines({ path, accept, query, onLines, onOpen, signal }) {
    const backOff = new BackOff();
    const source = {};
    report(source, "connecting");
    signal.addEventListener("abort", () => report(source, null), { once: true });
    try {
        while (!signal.aborted) {
            await shown(signal);
            const connection = connectionSignal(signal);
            try {
                const response = await request(path, { query: query(), headers: { Accept: accept }, signal: connection.signal });
                report(source, "live");
                backOff.reset();
                onOpen?.();
                for await (const lines of lineBatches(response.body, connection.heard)) {
                    if (signal.aborted) return false;
                    if (onLines(lines)) return true;
                }
            } catch (error) {
                // A refusal will be the same the next time; everything else may pass.
                if (error instanceof APIError && [400, 401, 403, 404].includes(error.status)) throw error;
                if (!(error instanceof APIError || error instanceof TypeError || error.name === "AbortError")) throw error;
            } finally {
                connection.close();
            }
            if (signal.aborted) break;
            if (!document.hidden) {
                report(source, "reconnecting");
                await pause(backOff.take(), signal).catch(() => null);
            }
        }
        return false;
    } finally {
        report(source, null);
    }
}

/**
 * Follows `/v1/stream`. Each event is told once, over any number of connections.
 * @param {object} options
 * @param {object} options.query Such as `{job, types}`.
 * @param {number} [options.after] The position to go on from; without it, what happens from now on.
 * @param {function(object): void} options.onEvent
 * @param {function(): void} [options.onGap] Events were lost: what was built from them must be read again.
 * @param {function(): void} [options.onOpen]
 * @param {AbortSignal} options.signal
 * @returns {Promise<boolean>} True where the stream ended by itself.
 */
export function followEvents({ query, after, onEvent, onGap, onOpen, signal }) {
    let position = after;
    return followLines({
        path: "/v1/stream",
        accept: "application/x-ndjson",
        query: () => ({ ...query, after: position }),
        signal,
        onOpen: () => {
            // Without a position nobody can tell what happened while the connection was down.
            if (position === undefined) onGap?.();
            onOpen?.();
        },
        onLines: (lines) => {
            for (const line of lines) {
                if (!line.startsWith("{")) continue;
                const event = JSON.parse(line);
                if (Number.isFinite(event.seq)) position = Math.max(position ?? 0, event.seq);
                if (event.type === "gap") onGap?.(event);
                else if (event.type === "end") return true;
                else onEvent(event);
            }
            return false;
        },
    });
}
