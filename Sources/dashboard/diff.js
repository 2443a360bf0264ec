// A line diff: the shortest edit, found as E. Myers described it ("An O(ND) difference algorithm", 1986).

import { h } from "./dom.js";

/** Edits beyond this many are told as one replacement: nobody reads them, and the search grows with their square. */
const MOST_EDITS = 1500;

/**
 * How one list of lines becomes another.
 * @param {string[]} before
 * @param {string[]} after
 * @returns {Array<{kind: "same"|"removed"|"added", text: string}>}
 */
export function diffLines(before, after) {
    const trace = [];
    const limit = Math.min(before.length + after.length, MOST_EDITS);
    let reach = new Map([[1, 0]]);
    for (let edits = 0; edits <= limit; edits += 1) {
        const next = new Map(reach);
        trace.push(reach);
        for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
            const isDown = diagonal === -edits || (diagonal !== edits && reach.get(diagonal - 1) < reach.get(diagonal + 1));
            let x = isDown ? reach.get(diagonal + 1) : reach.get(diagonal - 1) + 1;
            while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x += 1;
            next.set(diagonal, x);
            if (x >= before.length && x - diagonal >= after.length) return walkBack(before, after, trace);
        }
        reach = next;
    }
    return [...before.map((text) => ({ kind: "removed", text })), ...after.map((text) => ({ kind: "added", text }))];
}

function walkBack(before, after, trace) {
    const result = [];
    let x = before.length;
    let y = after.length;
    for (let edits = trace.length - 1; edits >= 0; edits -= 1) {
        const reach = trace[edits];
        const diagonal = x - y;
        const isDown = diagonal === -edits || (diagonal !== edits && reach.get(diagonal - 1) < reach.get(diagonal + 1));
        const previous = isDown ? diagonal + 1 : diagonal - 1;
        const fromX = edits === 0 ? 0 : reach.get(previous);
        const fromY = edits === 0 ? 0 : fromX - previous;
        while (x > fromX && y > fromY) {
            x -= 1;
            y -= 1;
            result.push({ kind: "same", text: before[x] });
        }
        if (edits === 0) break;
        if (isDown) result.push({ kind: "added", text: after[y -= 1] });
        else result.push({ kind: "removed", text: before[x -= 1] });
    }
    return result.reverse();
}

const CONTEXT = 3;
const SIGNS = { same: " ", removed: "-", added: "+" };

/**
 * Shows a diff with three lines around each change.
 * @param {string[]} before
 * @param {string[]} after
 * @returns {HTMLElement}
 */
export function showDiff(before, after) {
    const changes = diffLines(before, after);
    const near = new Set();
    changes.forEach((change, index) => {
        if (change.kind === "same") return;
        for (let close = index - CONTEXT; close <= index + CONTEXT; close += 1) near.add(close);
    });
    if (near.size === 0) return h("p", { class: "empty" }, "The specs are equal.");
    const shown = [];
    let isCut = false;
    changes.forEach((change, index) => {
        if (!near.has(index)) {
            if (!isCut) shown.push(h("div", { class: "cut" }, "…"));
            isCut = true;
            return;
        }
        isCut = false;
        const tag = { same: "div", removed: "del", added: "ins" }[change.kind];
        shown.push(h(tag, { class: `line ${change.kind}` }, `${SIGNS[change.kind]} ${change.text}`));
    });
    return h("pre", { class: "code diff", tabindex: "0", role: "region", "aria-label": "Differences" }, shown);
}
