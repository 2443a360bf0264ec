// The start: routes of the address's hash to pages. A page is shown until its signal is aborted.

import { APIError } from "./api.js";
import { report } from "./connection.js";
import { h } from "./dom.js";
import { startKeyboard } from "./keyboard.js";
import { startTheme } from "./theme.js";

const ROUTES = [
    [/^\/$/, "experiments", () => import("./experiments.js")],
    [/^\/experiments\/([a-z0-9_]+)$/, "experiments", () => import("./experiment.js")],
    [/^\/jobs\/([a-z0-9_]+)$/, "experiments", () => import("./job.js")],
    // The links that MLflow's client prints.
    [/^\/experiments\/[a-z0-9_]+\/runs\/([a-z0-9_]+)$/, "experiments", () => import("./job.js")],
    [/^\/compare$/, "experiments", () => import("./compare.js")],
    [/^\/queue$/, "queue", () => import("./queue.js")],
    [/^\/gpus$/, "gpus", () => import("./gpus.js")],
    [/^\/evaluations$/, "evaluations", () => import("./evaluations.js")],
    [/^\/datasets$/, "datasets", () => import("./datasets.js")],
    [/^\/datasets\/([a-z0-9_]+)$/, "datasets", () => import("./dataset.js")],
];

let leaving = new AbortController();

/** Shows a fault instead of a page. */
function showError(main, error) {
    const title = error instanceof APIError && error.status === 404 ? "Not found" : "This page could not be shown";
    main.replaceChildren(h("h1", { tabindex: "-1" }, title), h("p", { class: "error" }, error.message),
        h("p", {}, h("a", { href: "#/" }, "Experiments")));
}

async function route(isFirst) {
    leaving.abort();
    leaving = new AbortController();
    const { signal } = leaving;
    const main = document.getElementById("main");
    const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
    const found = ROUTES.map(([pattern, name, load]) => ({ match: pattern.exec(path), name, load })).find(({ match }) => match);
    for (const link of document.querySelectorAll("#nav a")) {
        if (link.dataset.page === found?.name) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    const page = h("div", { class: "page" });
    main.replaceChildren(page);
    scrollTo(0, 0);
    try {
        if (!found) throw new Error("There is no such page.");
        const module = await found.load();
        if (signal.aborted) return;
        const shown = module.show(page, { id: found.match[1], query: new URLSearchParams(query), signal });
        // Those who move by keyboard or listen start at the new page's heading, not where the old page had their focus.
        if (!isFirst) (page.querySelector("h1") ?? main).focus({ preventScroll: true });
        await shown;
    } catch (error) {
        if (!signal.aborted) showError(main, error);
    }
}

/**
 * Names the page in the window's title.
 * @param {string} title
 */
export function setTitle(title) {
    document.title = `${title} · Anneal`;
}

document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
});
startTheme();
startKeyboard();
report(ROUTES, null);
addEventListener("hashchange", () => route(false));
route(true);
