// Tells the reader whether what the page shows is live.

const sources = new Map();

/**
 * Notes how one connection is; the worst of all is shown in the header.
 * @param {object} source What connects; any object that stands for it.
 * @param {"live"|"connecting"|"reconnecting"|null} state Null once it is no longer wanted.
 */
export function report(source, state) {
    if (state === null) sources.delete(source);
    else sources.set(source, state);
    const states = [...sources.values()];
    const worst = ["reconnecting", "connecting", "live"].find((candidate) => states.includes(candidate)) ?? "live";
    const shown = document.getElementById("connection");
    if (shown.dataset.state === worst) return;
    shown.dataset.state = worst;
    shown.textContent = worst === "live" ? "live" : `${worst}…`;
}

/** Waits, and ends early (with an AbortError) when the signal says so. */
export function pause(milliseconds, signal) {
    return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const stop = () => {
            clearTimeout(timer);
            reject(signal.reason);
        };
        const timer = setTimeout(() => {
            signal?.removeEventListener("abort", stop);
            resolve();
        }, milliseconds);
        signal?.addEventListener("abort", stop, { once: true });
    });
}

/** The waits between attempts to connect, in milliseconds: 0.5 s, doubled up to 10 s, a little apart for each reader. */
export class BackOff {
    constructor() {
        this.next = 500;
    }

    /** Back to the shortest wait. */
    reset() {
        this.next = 500;
    }

    /** The wait before the next attempt. */
    take() {
        const wait = this.next;
        this.next = Math.min(10_000, wait * 2);
        return wait * (0.8 + 0.2 * Math.random());
    }
}
