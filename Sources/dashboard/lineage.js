// What made something, and what was made from it.

import { get } from "./api.js";
import { h, section } from "./dom.js";
import { drawGraph } from "./graph.js";

const PLACES = { experiment: "#/experiments/", job: "#/jobs/" };

function node({ id, type, name, state }, own) {
    return {
        id,
        name,
        note: state ? `${type} · ${state}` : type,
        class: `node-${state ?? type}${id === own ? " own" : ""}`,
        href: PLACES[type] ? PLACES[type] + id : undefined,
    };
}

/**
 * A section that reads the lineage when the reader opens it.
 * @param {string} id
 * @param {AbortSignal} signal
 */
export function lineageSection(id, signal) {
    const box = h("div");
    const details = h("details", {}, h("summary", {}, "Show what made this, and what was made from it"), box);
    details.addEventListener("toggle", async () => {
        if (!details.open) return;
        try {
            const { nodes, edges } = await get(`/v1/lineage/${id}`, { signal });
            const lines = edges.map(({ from, to, role }) => ({ from, to, label: role }));
            box.replaceChildren(drawGraph("Lineage", nodes.map((one) => node(one, id)), lines));
        } catch (error) {
            if (!signal.aborted) box.replaceChildren(h("p", { class: "notice error" }, error.message));
        }
    });
    return section("Lineage", details);
}
