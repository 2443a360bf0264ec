// The datasets that the daemon keeps.

import { list } from "./api.js";
import { setTitle } from "./app.js";
import { h, jobLink, keyed, makeTable, shortID } from "./dom.js";
import { bytes, grouped, when } from "./format.js";
import { keepFresh } from "./live.js";

/** Where a dataset came from that no job made; null for others. */
export function sourceOf({ source, produced_by: job }) {
    if (source?.kind === "url") return h("span", { class: "break" }, source.url);
    if (source?.kind === "file") return h("span", { class: "break" }, source.copied ? source.path : `${source.path} (used where it lies)`);
    return job ? null : "upload";
}

/** The tags of a dataset as chips; null where it has none. */
export function tagsOf({ tags }) {
    const names = Object.keys(tags).sort();
    return names.length ? names.map((name) => [h("span", { class: "badge" }, tags[name] ? `${name}: ${tags[name]}` : name), " "]) : null;
}

/** Shows the page. */
export async function show(root, { signal }) {
    setTitle("Datasets");
    let shown = [];
    const search = h("input", { type: "search", "data-search": "", placeholder: "name, format or tag" });
    const labels = ["Name", "Version", "Format", "Rows", "Size", "From", "Tags", "When", "SHA-256"];
    const { table, body, row } = makeTable("Datasets, newest first", labels);
    const empty = h("p", { class: "empty", hidden: true });
    const draw = () => {
        const text = search.value.trim().toLowerCase();
        const words = (item) => [item.name, item.format, ...Object.entries(item.tags).flat()].join(" ").toLowerCase();
        const matching = shown.filter((item) => words(item).includes(text));
        keyed(body, matching, (item) => item.id, (item) => row([
            h("a", { href: `#/datasets/${item.id}` }, item.name), String(item.version), item.format.replaceAll("_", " "), grouped(item.rows), bytes(item.bytes),
            sourceOf(item) ?? jobLink(item.produced_by, shortID(item.produced_by)), tagsOf(item) ?? "–", when(item.created_at), h("code", { title: item.sha256 }, item.sha256.slice(0, 12)),
        ]));
        table.hidden = matching.length === 0;
        empty.hidden = matching.length > 0;
        empty.textContent = shown.length ? "No dataset matches." : "No datasets yet.";
    };
    root.append(h("h1", { tabindex: "-1" }, "Datasets"), h("div", { class: "toolbar" }, h("label", {}, "Search ", search)), table, empty);
    search.addEventListener("input", draw);
    keepFresh({
        signal,
        refresh: async () => {
            shown = await list("/v1/datasets", {}, signal, 1000);
            draw();
        },
    });
}
