// Shortcuts. They hold still while the reader types or a dialog is open.

import { ask } from "./dialogs.js";
import { h } from "./dom.js";

const PLACES = { e: "#/", q: "#/queue", g: "#/gpus", v: "#/evaluations", d: "#/datasets" };
const KEYS = [
    ["/", "search on this page"],
    ["g e", "go to the experiments"],
    ["g q", "go to the queue"],
    ["g g", "go to the GPUs"],
    ["g v", "go to the evaluations"],
    ["g d", "go to the datasets"],
    ["?", "this list"],
    ["+ − ← → 0", "on a chart: zoom in, zoom out, move, whole curve"],
    ["Esc", "close a dialog"],
];

function isTyping(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && target.type !== "checkbox";
}

function showKeys() {
    const list = h("dl", { class: "keys" }, KEYS.map(([keys, what]) => h("div", {},
        h("dt", {}, keys.split(" ").map((key) => [h("kbd", {}, key), " "])), h("dd", {}, what))));
    ask({ title: "Keyboard", body: [list], dismiss: "Close" });
}

/** Starts listening. */
export function startKeyboard() {
    let pending = 0;
    document.getElementById("keys").addEventListener("click", showKeys);
    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
        const isSecond = Date.now() - pending < 1200;
        pending = 0;
        if (isSecond && PLACES[event.key]) location.hash = PLACES[event.key];
        else if (event.key === "g") pending = Date.now();
        else if (event.key === "?") showKeys();
        else if (event.key === "/") document.querySelector("[data-search]")?.focus();
        else return;
        event.preventDefault();
    });
}
