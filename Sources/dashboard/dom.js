// Builds elements. Nothing here takes HTML as text: all that is shown comes from users and is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "open", "hidden", "indeterminate"]);

function fill(node, props, children) {
    for (const [name, value] of Object.entries(props ?? {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
        else if (name === "data") Object.assign(node.dataset, value);
        else if (PROPERTIES.has(name)) node[name] = value;
        else node.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of children.flat(Infinity)) {
        if (child === null || child === undefined || child === false) continue;
        node.append(child instanceof Node ? child : String(child));
    }
    return node;
}

/**
 * Makes an HTML element.
 * @param {string} tag
 * @param {object} [props] Attributes; besides `on` (listeners by event) and `data` (the dataset).
 * @param {...(Node|string|number|null|Array)} children Text is set as text.
 * @returns {HTMLElement}
 */
export function h(tag, props, ...children) {
    return fill(document.createElement(tag), props, children);
}

/** Makes an SVG element; as `h`. */
export function svg(tag, props, ...children) {
    return fill(document.createElementNS(SVG, tag), props, children);
}

/** A job's or an experiment's state as a coloured chip that names it. */
export function stateChip(state) {
    return h("span", { class: `state state-${state}` }, state);
}

/** A link to a job. */
export function jobLink(id, name) {
    return h("a", { href: `#/jobs/${id}` }, name ?? shortID(id));
}

/** The last characters of an identifier: those that tell it from its neighbours. */
export function shortID(id) {
    return id.replace(/^([a-z]+)_.*(.{6})$/, "$1…$2");
}

/**
 * A table whose rows become cards on a phone: each cell knows the label of its column.
 * @param {string} caption Read by screen readers, not shown.
 * @param {string[]} labels
 * @returns {{table: HTMLElement, body: HTMLElement, row: function(Array, object=): HTMLElement}}
 */
export function makeTable(caption, labels) {
    const body = h("tbody", { role: "rowgroup" });
    const head = h("tr", { role: "row" }, labels.map((label) => h("th", { scope: "col", role: "columnheader" }, label)));
    // The explicit roles keep it a table for screen readers where CSS lays its cells out as blocks.
    const table = h("table", { role: "table" }, h("caption", { class: "visually-hidden" }, caption),
        h("thead", { role: "rowgroup" }, head), body);
    const row = (cells, props) => h("tr", { role: "row", ...props },
        cells.map((cell, index) => h("td", { role: "cell", class: cell === "–" ? "none" : null, data: { label: labels[index] } },
            h("div", {}, cell))));
    return { table: h("div", { class: "table" }, table), body, row };
}

const FOCUSABLE = "a, button, input, select, summary";

/**
 * Shows items as children, and touches only those that changed, so that focus, selection and scrolling stay where they are.
 * @param {HTMLElement} parent
 * @param {Array} items Plain data; compared as JSON.
 * @param {function(*): string} keyOf
 * @param {function(*): HTMLElement} build
 */
export function keyed(parent, items, keyOf, build) {
    const old = new Map([...parent.children].map((node) => [node.rowKey, node]));
    const active = parent.contains(document.activeElement) ? document.activeElement : null;
    const activeRow = active ? [...parent.children].find((node) => node.contains(active)) : null;
    const activeIndex = activeRow ? [...activeRow.querySelectorAll(FOCUSABLE)].indexOf(active) : -1;
    const wanted = items.map((item) => {
        const key = String(keyOf(item));
        const signature = JSON.stringify(item);
        const known = old.get(key);
        if (known?.rowSignature === signature) return known;
        return Object.assign(build(item), { rowKey: key, rowSignature: signature });
    });
    const same = wanted.length === parent.children.length && wanted.every((node, index) => parent.children[index] === node);
    if (same) return;
    parent.replaceChildren(...wanted);
    if (activeIndex < 0) return;
    const successor = wanted.find((node) => node.rowKey === activeRow.rowKey);
    successor?.querySelectorAll(FOCUSABLE)[activeIndex]?.focus({ preventScroll: true });
}

/** A list of terms and what they are; terms without a value are left out. */
export function facts(pairs) {
    const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
    return h("dl", { class: "facts" }, shown.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

/** A section with its heading. */
export function section(title, ...children) {
    const heading = h("h2", {}, title);
    return h("section", { "aria-label": title }, heading, ...children);
}
