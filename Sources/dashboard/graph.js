// Layered drawings of directed graphs: the jobs of an experiment, and lineage.

import { h, svg } from "./dom.js";

const WIDTH = 176;
const HEIGHT = 46;
const COLUMN_GAP = 52;
const ROW_GAP = 14;
/** The height of a passage. */
const PASSAGE = 10;
const MARGIN = 8;

/** The column of each node: one more than the farthest of what it needs. */
function columnsOf(ids, parents) {
    const depth = new Map();
    const visit = (id, path) => {
        if (depth.has(id)) return depth.get(id);
        if (path.has(id)) return 0;
        path.add(id);
        const deepest = Math.max(-1, ...parents.get(id).map((parent) => visit(parent, path)));
        path.delete(id);
        depth.set(id, deepest + 1);
        return deepest + 1;
    };
    ids.forEach((id) => visit(id, new Set()));
    const columns = [];
    for (const id of ids) (columns[depth.get(id)] ??= []).push(id);
    return columns;
}

/** Sorts each column by the mean place of its neighbours, back and forth, so that fewer edges cross. */
function untangle(columns, parents, children) {
    const place = new Map();
    const settle = (column) => column.forEach((id, index) => place.set(id, index - (column.length - 1) / 2));
    columns.forEach(settle);
    for (let round = 0; round < 4; round += 1) {
        const isForward = round % 2 === 0;
        const neighbours = isForward ? parents : children;
        for (const column of isForward ? columns : [...columns].reverse()) {
            const mean = new Map(column.map((id) => {
                const near = neighbours.get(id);
                return [id, near.length ? near.reduce((sum, other) => sum + place.get(other), 0) / near.length : place.get(id)];
            }));
            column.sort((one, other) => mean.get(one) - mean.get(other));
            settle(column);
        }
    }
}

/** Edges over several columns get a place to pass in each, so that they do not run behind nodes. */
function addPassages(edges, columns, parents, children) {
    const depth = new Map(columns.flatMap((column, index) => column.map((id) => [id, index])));
    const link = (from, to) => {
        children.get(from).push(to);
        parents.get(to).push(from);
    };
    return edges.map((edge, index) => {
        const through = [edge.from];
        for (let column = depth.get(edge.from) + 1; column < depth.get(edge.to); column += 1) {
            const passage = `passage ${index} ${column}`;
            parents.set(passage, []);
            children.set(passage, []);
            columns[column].push(passage);
            link(through.at(-1), passage);
            through.push(passage);
        }
        link(through.at(-1), edge.to);
        return { ...edge, through: [...through, edge.to] };
    });
}

/**
 * Where each node goes.
 * @param {string[]} ids
 * @param {Array<{from: string, to: string}>} edges
 * @returns {{at: Map<string, {x: number, y: number}>, routes: Array<object>, width: number, height: number}} Pixels. A route is an edge
 *   with the places that it goes through; those have positions too.
 */
export function layOut(ids, edges) {
    const empty = () => new Map(ids.map((id) => [id, []]));
    const needs = empty();
    const known = edges.filter(({ from, to }) => needs.has(from) && needs.has(to));
    for (const { from, to } of known) needs.get(to).push(from);
    const columns = columnsOf(ids, needs);
    const parents = empty();
    const children = empty();
    const routes = addPassages(known, columns, parents, children);
    untangle(columns, parents, children);
    const tall = (id) => (needs.has(id) ? HEIGHT : PASSAGE) + ROW_GAP;
    const used = columns.map((column) => column.reduce((sum, id) => sum + tall(id), -ROW_GAP));
    const height = Math.max(HEIGHT, ...used) + 2 * MARGIN;
    const at = new Map();
    columns.forEach((column, index) => {
        let y = (height - used[index]) / 2;
        for (const id of column) {
            at.set(id, { x: MARGIN + index * (WIDTH + COLUMN_GAP), y, middle: y + (tall(id) - ROW_GAP) / 2 });
            y += tall(id);
        }
    });
    return { at, routes, width: columns.length * (WIDTH + COLUMN_GAP) - COLUMN_GAP + 2 * MARGIN, height };
}

/** The path of an edge: bends between columns, and straight on through its passages. */
function path(through, at) {
    let drawn = "";
    for (let index = 1; index < through.length; index += 1) {
        const [from, to] = [at.get(through[index - 1]), at.get(through[index])];
        const isLast = index === through.length - 1;
        const [start, end] = [from.x + WIDTH, to.x - (isLast ? 5 : 0)];
        const bend = Math.max(24, (end - start) / 2);
        drawn += `${index === 1 ? "M" : "L"}${start} ${from.middle}`;
        drawn += `C${start + bend} ${from.middle} ${end - bend} ${to.middle} ${end} ${to.middle}`;
    }
    return drawn;
}

function clip(text, most) {
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function drawNode(node, { x, y }) {
    const box = svg("g", { class: `node ${node.class}`, transform: `translate(${x} ${y})` },
        svg("title", {}, `${node.name} · ${node.note}`),
        svg("rect", { width: WIDTH, height: HEIGHT, rx: 6, class: "box" }),
        svg("rect", { width: 5, height: HEIGHT, rx: 2, class: "stripe" }),
        svg("text", { x: 14, y: 19, class: "name" }, clip(node.name, 20)),
        svg("text", { x: 14, y: 36, class: "note" }, clip(node.note, 26)));
    return node.href ? svg("a", { href: node.href, "aria-label": `${node.name}, ${node.note}` }, box) : box;
}

/**
 * Draws a graph from left to right.
 * @param {string} label For screen readers.
 * @param {Array<{id: string, name: string, note: string, class: string, href?: string}>} nodes
 * @param {Array<{from: string, to: string, label?: string}>} edges
 * @returns {HTMLElement} It scrolls by itself where it is wider than the page.
 */
export function drawGraph(label, nodes, edges) {
    const { at, routes, width, height } = layOut(nodes.map((node) => node.id), edges);
    const lines = routes.map(({ through, label: role }) =>
        svg("path", { d: path(through, at), class: "edge", "marker-end": "url(#arrow)" }, role ? svg("title", {}, role) : null));
    const arrow = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 5, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
        svg("path", { d: "M0 0L8 4L0 8z", class: "arrow" }));
    const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label },
        svg("defs", {}, arrow), lines, nodes.map((node) => drawNode(node, at.get(node.id))));
    return h("div", { class: "graph", tabindex: "0", role: "region", "aria-label": label }, drawing);
}
