// Requests to the daemon: the token, problems as errors, and patience while it restarts.

import { BackOff, pause, report } from "./connection.js";
import { askForToken } from "./dialogs.js";

const TOKEN = "anneal-token";

/** What the daemon answered instead of what was asked. */
export class APIError extends Error {
    constructor(status, problem) {
        const faults = (problem?.errors ?? []).map((fault) => fault.detail).filter(Boolean);
        super(faults.length ? faults.join("; ") : problem?.detail || problem?.title || `the daemon answered ${status}`);
        this.status = status;
        this.code = problem?.code ?? null;
    }
}

function address(path, query) {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {})) {
        for (const single of Array.isArray(value) ? value : [value]) {
            if (single !== null && single !== undefined && single !== "") parameters.append(name, single);
        }
    }
    const text = parameters.toString();
    return text ? `${path}?${text}` : path;
}

let asking = null;

/** Asks once, however many requests were refused at the same time. */
function renewToken(refused) {
    if (sessionStorage.getItem(TOKEN) !== refused) return Promise.resolve(true);
    asking ??= askForToken(refused !== null).then((token) => {
        if (token) sessionStorage.setItem(TOKEN, token);
        return Boolean(token);
    }).finally(() => {
        asking = null;
    });
    return asking;
}

/**
 * One request. Asks for the token where the daemon wants one.
 * @param {string} path Such as `/v1/jobs`.
 * @param {{method?: string, query?: object, body?: object, headers?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<Response>} Of a 2xx status; others are thrown as APIError.
 */
export async function request(path, { method = "GET", query, body, headers = {}, signal } = {}) {
    for (;;) {
        const token = sessionStorage.getItem(TOKEN);
        const response = await fetch(address(path, query), {
            method,
            signal,
            cache: "no-store",
            headers: {
                ...(token ? { Authorization: `Bearer ${token}` } : {}),
                ...(body === undefined ? {} : { "Content-Type": "application/json" }),
                ...headers,
            },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        if (response.ok) return response;
        if (response.status === 401 && await renewToken(token)) continue;
        throw new APIError(response.status, await response.json().catch(() => null));
    }
}

function isPassing(error) {
    return error instanceof TypeError || error.status === 503 || error.status === 429 || error.status === 502;
}

/**
 * Reads JSON, and goes on trying while the daemon is away or busy with its start.
 * @param {string} path
 * @param {{query?: object, signal?: AbortSignal}} [options]
 */
export async function get(path, { query, signal } = {}) {
    const backOff = new BackOff();
    const source = {};
    try {
        for (;;) {
            try {
                return await (await request(path, { query, signal })).json();
            } catch (error) {
                if (signal?.aborted || !isPassing(error)) throw error;
                report(source, "reconnecting");
                await pause(backOff.take(), signal);
            }
        }
    } finally {
        report(source, null);
    }
}

/** The items of a page of a list. */
export function rows(page) {
    return page.data ?? page.items;
}

/**
 * Reads a whole list, page by page.
 * @param {string} path
 * @param {object} query
 * @param {AbortSignal} signal
 * @param {number} [most] How many items at most.
 */
export async function list(path, query, signal, most = 2000) {
    const items = [];
    let after = null;
    do {
        const page = await get(path, { query: { limit: 500, ...query, after }, signal });
        items.push(...rows(page));
        after = page.next;
    } while (after && items.length < most);
    return items;
}

/**
 * Changes something. The key makes it safe to send again when the answer got lost on its way.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
export async function send(method, path, body) {
    const headers = method === "POST" ? { "Idempotency-Key": crypto.randomUUID() } : {};
    for (let left = 3; ; left -= 1) {
        try {
            const response = await request(path, { method, body, headers });
            return response.status === 204 ? null : await response.json();
        } catch (error) {
            if (left === 0 || !isPassing(error)) throw error;
            await pause(700);
        }
    }
}
