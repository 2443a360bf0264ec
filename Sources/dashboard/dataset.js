// One dataset: what it is, how long its records are, what they are labelled, what they are made of, and some of them.

import { get, list } from "./api.js";
import { setTitle } from "./app.js";
import { sourceOf, tagsOf } from "./datasets.js";
import { facts, h, jobLink, makeTable, section, shortID } from "./dom.js";
import { bytes, grouped, number, when } from "./format.js";

function percent(share) {
    return `${number(Math.round(share * 1000) / 10)} %`;
}

/** Rows of a word, a number and a bar that is long by that number. */
function bars(caption, labels, rows, all) {
    const most = Math.max(1, ...rows.map(({ count }) => count));
    const { table, body, row } = makeTable(caption, [...labels, "Share", ""]);
    for (const { name, count } of rows) {
        const bar = h("span", { class: "bar", "aria-hidden": "true" });
        bar.style.width = `${(100 * count) / most}%`;
        body.append(row([name, grouped(count), percent(count / Math.max(1, all)), h("span", { class: "bar-frame" }, bar)]));
    }
    table.classList.add("bars");
    return table;
}

function lengths(title, unit, shown) {
    const filled = shown.histogram.slice(Math.max(0, shown.histogram.findIndex(({ records }) => records > 0)));
    const rows = filled.map(({ from, to, records }) => ({ name: from === to ? grouped(from) : `${grouped(from)}–${grouped(to)}`, count: records }));
    const all = rows.reduce((sum, { count }) => sum + count, 0);
    return section(title, facts([
        ["Least", grouped(shown.min)], ["Half up to", grouped(shown.p50)], ["95 % up to", grouped(shown.p95)],
        ["99 % up to", grouped(shown.p99)], ["Most", grouped(shown.max)], ["Mean", number(shown.mean)],
    ]), bars(title, [unit, "Records"], rows, all));
}

function schema(shown) {
    const { table, body, row } = makeTable("Schema", ["Member", "Types", "Records", "Share"]);
    for (const field of shown.fields) {
        body.append(row([h("code", { class: "break" }, field.path), field.types.join(", "), grouped(field.records), percent(field.share)]));
    }
    return section("Schema", table);
}

function samples(shown) {
    return section("Samples", shown.samples.map(({ line, record }) => h("details", { open: line === shown.samples[0].line },
        h("summary", {}, `Line ${grouped(line)}`),
        h("pre", { class: "code", tabindex: "0", role: "region", "aria-label": `Record on line ${line}` }, JSON.stringify(record, null, 2)))));
}

function head(item, shown) {
    return facts([
        ["Format", item.format.replaceAll("_", " ")], ["Rows", grouped(item.rows)], ["Size", bytes(item.bytes)],
        ["Repeated", `${grouped(shown.duplicates)} (${percent(shown.duplicate_share)})`],
        ["Made by", item.produced_by ? jobLink(item.produced_by, shortID(item.produced_by)) : null],
        ["From", sourceOf(item)], ["Tags", tagsOf(item)], ["When", when(item.created_at)],
        ["Content", h("a", { href: `/v1/datasets/${item.id}/content`, download: `${item.name}.jsonl` }, "download")],
        ["SHA-256", h("code", { class: "break" }, item.sha256)],
    ]);
}

/** Links to the other versions of the same name. */
function versions(item, all) {
    if (all.length < 2) return null;
    return h("p", {}, "Versions: ", all.map((other) => [other.id === item.id ? h("strong", {}, String(other.version))
        : h("a", { href: `#/datasets/${other.id}` }, String(other.version)), " "]));
}

/** Shows the page of the dataset `id`. */
export async function show(root, { id, signal }) {
    setTitle("Dataset");
    const item = await get(`/v1/datasets/${id}`, { signal });
    setTitle(`${item.name}@${item.version}`);
    const waiting = h("p", { class: "small", "aria-live": "polite" }, "The records are being read …");
    root.append(h("h1", { tabindex: "-1" }, `${item.name}@${item.version}`), waiting);
    const [shown, all] = await Promise.all([
        get(`/v1/datasets/${id}/inspect`, { signal }), list("/v1/datasets", { name: item.name }, signal, 1000),
    ]);
    waiting.replaceWith(head(item, shown), versions(item, all) ?? "");
    const labels = shown.labels.map(({ value, records }) => ({ name: value, count: records }));
    root.append(lengths("Characters", "Characters", shown.characters), lengths("Words", "Words", shown.words),
        labels.length ? section("Labels", h("p", { class: "small" }, "in ", h("code", {}, shown.label_member)),
            bars("Labels", ["Label", "Records"], labels, item.rows)) : "",
        schema(shown), samples(shown));
}
