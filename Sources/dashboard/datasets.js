// The datasets that the daemon keeps.

import { list } from "./api.js";
import { setTitle } from "./app.js";
import { h, jobLink, keyed, makeTable, shortID } from "./dom.js";
import { bytes, grouped, when } from "./format.js";
import { keepFresh } from "./live.js";

/** Shows the page. */
export async function show(root, { signal }) {
    setTitle("Datasets");
    let shown = [];
    const search = h("input", { type: "search", "data-search": "", placeholder: "name or format" });
    const labels = ["Name", "Version", "Format", "Rows", "Size", "Made by", "When", "SHA-256"];
    const { table, body, row } = makeTable("Datasets, newest first", labels);
    const empty = h("p", { class: "empty", hidden: true });
    const draw = () => {
        const text = search.value.trim().toLowerCase();
        const matching = shown.filter((item) => `${item.name} ${item.format}`.toLowerCase().includes(text));
        keyed(body, matching, (item) => item.id, (item) => row([
            item.name, String(item.version), item.format.replaceAll("_", " "), grouped(item.rows), bytes(item.bytes),
            item.produced_by?.startsWith("job_") ? jobLink(item.produced_by, shortID(item.produced_by)) : "upload",
            when(item.created_at), h("code", { title: item.sha256 }, item.sha256.slice(0, 12)),
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
