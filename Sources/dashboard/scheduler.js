// When charts are drawn: at most once a frame, as many as a frame has time for, and no faster than the screen can follow.

/** What one frame may spend on drawing; the rest is drawn in the next ones. Milliseconds. */
const BUDGET = 6;
/** A frame that took longer than this to reach the screen was too much for it. Milliseconds. */
const SLOW = 24;

/** Draws what is due. */
export class Scheduler {
    /**
     * @param {function(): object[]} due The charts that are visible and changed.
     * @param {AbortSignal} signal
     */
    constructor(due, signal) {
        Object.assign(this, { due, signal, frame: null, startedAt: 0, restsUntil: 0 });
    }

    /** Draws with the next frame. */
    request() {
        this.frame ??= requestAnimationFrame(() => this.run());
    }

    run() {
        this.frame = null;
        if (this.signal.aborted) return;
        const now = performance.now();
        if (this.startedAt) {
            // Painting goes on after the script's part of a frame: only the next frame tells what the last one cost. Where it was too
            // much, some frames stay free for scrolling and typing.
            const cost = now - this.startedAt;
            this.startedAt = 0;
            this.restsUntil = cost > SLOW ? now + 2 * cost : 0;
        }
        const charts = this.due();
        if (charts.length === 0) return;
        if (now >= this.restsUntil) this.draw(charts, now);
        this.request();
    }

    /** The longest waiting charts first. */
    draw(charts, now) {
        this.startedAt = now;
        charts.sort((one, other) => (one.drawnAt ?? 0) - (other.drawnAt ?? 0));
        for (const chart of charts) {
            chart.drawnAt = performance.now();
            chart.draw();
            if (performance.now() - now > BUDGET) break;
        }
    }
}
