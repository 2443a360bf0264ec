// A job's output as it is written.

import { h } from "./dom.js";
import { pause } from "./connection.js";
import { followLines } from "./stream.js";

/** Lines that are held and shown. */
const MOST = 5000;
/** Lines in one element at most. */
const BLOCK = 200;
/** How near to its end the reader must be for the log to follow. Pixels. */
const NEAR = 24;

/** Colours and cursor movements of terminals, which mean nothing here. */
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007]*\u0007|.)/g;

/** A line as a terminal would leave it: what a carriage return wrote over is gone. */
function settled(line) {
    const text = line.replace(ESCAPES, "").replace(/\r+$/, "");
    return text.slice(text.lastIndexOf("\r") + 1);
}

/** Follows one stream of one attempt. */
export class LogViewer {
    /**
     * @param {string} job
     * @param {AbortSignal} signal
     */
    constructor(job, signal) {
        this.job = job;
        this.signal = signal;
        this.isFollowing = true;
        this.output = h("div", { class: "log", role: "log", "aria-live": "off", "aria-label": "Output", tabindex: "0" });
        this.status = h("span", { class: "small", role: "status" });
        this.resume = h("button", { type: "button", class: "quiet", hidden: true, on: { click: () => this.follow() } }, "Follow");
        this.attempt = h("select", {}, h("option", { value: "" }, "latest"));
        const stream = (name) => h("label", { class: "box" }, h("input", {
            type: "radio", name: "log-stream", value: name, checked: name === "stdout", on: { change: () => this.restart(name) },
        }), ` ${name}`);
        this.attempt.addEventListener("change", () => this.restart(this.stream));
        this.output.addEventListener("scroll", () => this.scrolled());
        // Scrolling begins gently: without these, each new line would pull the reader back before the log was seen to move.
        this.output.addEventListener("wheel", (event) => (event.deltaY < 0 ? this.hold() : null), { passive: true });
        this.output.addEventListener("touchmove", () => this.hold(), { passive: true });
        this.output.addEventListener("keydown", (event) => (["ArrowUp", "PageUp", "Home"].includes(event.key) ? this.hold() : null));
        this.node = h("div", {}, h("div", { class: "toolbar", role: "group", "aria-label": "Log" }, stream("stdout"), stream("stderr"),
            h("label", {}, "Attempt ", this.attempt), this.resume, this.status), this.output);
        signal.addEventListener("abort", () => this.following?.abort());
    }

    /** Waits for the reader to come to the log, and opens it then: it takes a connection of its own, and many lines. */
    start() {
        const observer = new IntersectionObserver((entries) => {
            if (!entries.some((entry) => entry.isIntersecting)) return;
            observer.disconnect();
            this.restart("stdout");
        });
        observer.observe(this.node);
    }

    /** Tells which attempts there are. A new one is followed where the latest is wanted. */
    setAttempts(attempts) {
        const signature = attempts.map((attempt) => attempt.id).join();
        if (signature === this.attempts) return;
        const hadSome = this.attempts !== undefined;
        this.numbers = new Map(attempts.map((attempt) => [attempt.id, attempt.number]));
        this.attempts = signature;
        const { value } = this.attempt;
        this.attempt.replaceChildren(h("option", { value: "" }, "latest"),
            ...attempts.map((attempt) => h("option", { value: String(attempt.number) }, String(attempt.number))));
        this.attempt.value = value;
        if (hadSome && value === "" && this.stream) this.restart(this.stream);
    }

    /** Starts at the end of a stream. */
    restart(stream) {
        this.stream = stream;
        this.following?.abort();
        this.following = new AbortController();
        this.lines = [];
        this.rest = "";
        this.offset = null;
        this.followed = undefined;
        this.output.replaceChildren();
        this.shown = 0;
        this.restNode = null;
        this.isFollowing = true;
        this.resume.hidden = true;
        this.run(this.following.signal);
    }

    async run(signal) {
        this.status.textContent = "";
        let type = "";
        const onLines = (lines) => {
            for (const line of lines) {
                if (line.startsWith("event:")) type = line.slice(6).trim();
                else if (line.startsWith("data:")) {
                    if (type === "end") return true;
                    if (type === "log") this.take(JSON.parse(line.slice(5)));
                } else if (line === "") type = "";
            }
            return false;
        };
        const query = () => ({
            stream: this.stream,
            follow: true,
            attempt: this.attempt.value || this.followed,
            ...(this.offset === null ? { tail: MOST } : { offset: this.offset }),
        });
        try {
            await followLines({ path: `/v1/jobs/${this.job}/logs`, accept: "text/event-stream", query, onLines, signal });
            if (!signal.aborted) this.status.textContent = this.offset === null ? "nothing was written" : "end of the log";
        } catch (error) {
            if (!signal.aborted) this.status.textContent = error.message;
        }
    }

    take({ offset, end, text, attempt_id: attempt }) {
        // "Latest" may mean another attempt after a reconnection, and there the position would be wrong.
        this.followed = this.numbers?.get(attempt);
        // After a reconnection the daemon may tell a piece again that began before the position.
        if (this.offset !== null && end <= this.offset) return;
        if (this.offset !== null && offset > this.offset && offset !== 0) this.lines.push("… some lines were left out …");
        this.offset = end;
        const lines = (this.rest + text).split("\n");
        this.rest = lines.pop();
        for (const line of lines) this.lines.push(line);
        if (this.lines.length > 2 * MOST) this.lines.splice(0, this.lines.length - MOST);
        this.frame ??= requestAnimationFrame(() => this.draw());
    }

    /** Shows what came since the last frame; while the reader looks at earlier lines, only counts it. */
    draw() {
        this.frame = null;
        if (this.signal.aborted) return;
        if (!this.isFollowing) {
            this.resume.textContent = `Follow (${Math.min(this.lines.length, MOST)} new lines)`;
            return;
        }
        this.restNode?.remove();
        const fresh = this.lines.splice(0).slice(-MOST);
        for (let at = 0; at < fresh.length; at += BLOCK) this.append(fresh.slice(at, at + BLOCK));
        while (this.shown - this.output.firstChild?.lines >= MOST) {
            this.shown -= this.output.firstChild.lines;
            this.output.firstChild.remove();
        }
        this.restNode = this.rest ? h("div", {}, settled(this.rest)) : null;
        if (this.restNode) this.output.append(this.restNode);
        this.output.scrollTop = this.output.scrollHeight;
    }

    /** Adds lines to the last block while it has room: a block is one piece of text, which is much cheaper than an element a line. */
    append(lines) {
        let block = this.output.lastChild;
        if (!block || block.lines + lines.length > BLOCK) {
            block = Object.assign(h("div"), { lines: 0 });
            this.output.append(block);
        }
        block.append(`${lines.map(settled).join("\n")}\n`);
        block.lines += lines.length;
        this.shown += lines.length;
    }

    /** Stops following. */
    hold() {
        if (!this.isFollowing || this.output.scrollHeight <= this.output.clientHeight) return;
        this.isFollowing = false;
        this.resume.hidden = false;
        this.resume.textContent = "Follow";
    }

    /** Follows again once the reader has gone back to the end, and stops where the reader drags the bar away from it. */
    scrolled() {
        const { scrollTop, clientHeight, scrollHeight } = this.output;
        const isNear = scrollHeight - scrollTop - clientHeight < NEAR;
        if (isNear && !this.isFollowing && scrollTop > this.lastTop) this.follow();
        else if (!isNear && scrollTop < this.lastTop) this.hold();
        this.lastTop = scrollTop;
    }

    async follow() {
        this.isFollowing = true;
        this.resume.hidden = true;
        this.draw();
        await pause(0);
        this.output.scrollTop = this.output.scrollHeight;
    }
}
