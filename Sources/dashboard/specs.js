// What two runs were asked to do, and what differs.

import { get } from "./api.js";
import { showDiff } from "./diff.js";
import { h, section } from "./dom.js";
import { yamlLines } from "./yaml.js";

/** What the spec says of one job: its own part, its member of the matrix, and what the experiment sets for all. */
function specOf(job, experiment) {
    const { jobs = {}, name, description, tags, ...shared } = experiment.spec ?? {};
    return { ...shared, job: { ...jobs[job.group ?? job.name], ...(job.matrix ? { matrix: job.matrix } : {}) } };
}

/**
 * A section in which readers choose two of the page's runs.
 * @param {AbortSignal} signal
 * @returns {{node: HTMLElement, draw: function(object[]): Promise<void>}} `draw` takes whole jobs; fewer than two hide the section.
 */
export function specsSection(signal) {
    const result = h("div", { "aria-live": "polite" });
    const select = () => h("select", { on: { change: () => compare() } });
    const [before, after] = [select(), select()];
    const node = section("Spec", h("div", { class: "toolbar" }, h("label", {}, "From ", before), h("label", {}, "to ", after)), result);
    node.hidden = true;
    let jobs = [];
    let listed = "";
    const specs = new Map();

    const linesOf = async (id) => {
        const job = jobs.find((one) => one.id === id);
        if (!specs.has(id)) specs.set(id, yamlLines(specOf(job, await get(`/v1/experiments/${job.experiment_id}`, { signal }))));
        return specs.get(id);
    };
    const compare = async () => {
        const pair = [before.value, after.value];
        const [one, other] = await Promise.all(pair.map(linesOf));
        if (signal.aborted || pair[0] !== before.value || pair[1] !== after.value) return;
        result.replaceChildren(showDiff(one, other));
    };
    const draw = async (some) => {
        jobs = some;
        node.hidden = jobs.length < 2;
        const signature = jobs.map((job) => job.id).join();
        if (signature === listed || node.hidden) return;
        listed = signature;
        const chosen = [before.value || jobs[0].id, after.value || jobs[1].id];
        [before, after].forEach((list, index) => {
            list.replaceChildren(...jobs.map((job) => h("option", { value: job.id }, `${job.experiment} / ${job.name}`)));
            list.value = jobs.some((job) => job.id === chosen[index]) ? chosen[index] : jobs[index].id;
        });
        await compare();
    };
    return { node, draw };
}
