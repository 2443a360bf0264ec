// The controls above the charts. The choices are kept for the next visit.

import { AXES } from "./axis.js";
import { h } from "./dom.js";

const KEY = "anneal-charts";

/** The reader's last choices. */
export function storedSettings() {
    const standard = { smoothing: 0.6, isLog: false, axis: "step" };
    try {
        const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
        const axis = Object.hasOwn(AXES, stored.axis) ? stored.axis : standard.axis;
        const smoothing = stored.smoothing >= 0 && stored.smoothing < 1 ? stored.smoothing : standard.smoothing;
        return { smoothing, isLog: stored.isLog === true, axis };
    } catch {
        return standard;
    }
}

/**
 * Makes the controls.
 * @param {object} panel Its `settings` are changed, and it is told.
 * @param {string} filter The search's first text.
 * @returns {{node: HTMLElement, reset: HTMLElement, search: HTMLElement}}
 */
export function makeToolbar(panel, filter) {
    const { settings } = panel;
    const change = (part) => {
        Object.assign(settings, part);
        localStorage.setItem(KEY, JSON.stringify(settings));
        panel.settingsChanged(part);
    };
    const search = h("input", { type: "search", "data-search": "", placeholder: "keys, such as loss", value: filter });
    search.addEventListener("input", () => panel.filterKeys(search.value));
    const shown = h("output", {}, settings.smoothing.toFixed(2));
    const slider = h("input", { type: "range", min: 0, max: 0.99, step: 0.01 });
    slider.value = settings.smoothing;
    slider.addEventListener("input", () => {
        shown.textContent = slider.valueAsNumber.toFixed(2);
        change({ smoothing: slider.valueAsNumber });
    });
    const log = h("input", { type: "checkbox", checked: settings.isLog });
    log.addEventListener("change", () => change({ isLog: log.checked }));
    const option = ([value, text]) => h("option", { value, selected: value === settings.axis }, text);
    const axis = h("select", {}, Object.entries(AXES).map(option));
    axis.addEventListener("change", () => change({ axis: axis.value }));
    const reset = h("button", { type: "button", class: "quiet", hidden: true, on: { click: () => panel.resetZoom() } }, "Reset zoom");
    const add = h("button", { type: "button", class: "quiet", on: { click: () => panel.askForRun() } }, "Add a run");
    const node = h("div", { class: "toolbar", role: "group", "aria-label": "Charts" },
        h("label", {}, "Keys ", search), h("label", { class: "slider" }, "Smoothing ", slider, shown),
        h("label", { class: "box" }, log, " log scale"), h("label", {}, "x axis ", axis), add, reset);
    return { node, reset, search };
}
