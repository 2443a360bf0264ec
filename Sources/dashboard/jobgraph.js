// An experiment's jobs as a graph. Large matrices become one node, which tells how many of its members are in which state.

import { drawGraph } from "./graph.js";

const MOST_MEMBERS = 6;
const ORDER = ["failed", "lost", "running", "starting", "stopping", "paused", "queued", "waiting", "cancelled", "skipped", "succeeded"];

function isLarge(group, jobs) {
    return group && jobs.filter((job) => job.group === group).length > MOST_MEMBERS;
}

/**
 * Draws the graph.
 * @param {Array<object>} jobs Whole jobs, with `needs`.
 * @returns {HTMLElement}
 */
export function drawJobs(jobs) {
    const large = new Set([...new Set(jobs.map((job) => job.group))].filter((group) => isLarge(group, jobs)));
    const nodeID = (job) => (large.has(job.group) ? `group ${job.group}` : job.id);
    const byID = new Map(jobs.map((job) => [job.id, job]));
    const nodes = new Map();
    const edges = new Map();
    for (const job of jobs) {
        const id = nodeID(job);
        if (!nodes.has(id)) nodes.set(id, large.has(job.group) ? groupNode(id, job.group, jobs) : jobNode(job));
        for (const need of job.needs) {
            if (!byID.has(need)) continue;
            const from = nodeID(byID.get(need));
            if (from !== id) edges.set(`${from} ${id}`, { from, to: id });
        }
    }
    return drawGraph("Jobs and what they need", [...nodes.values()], [...edges.values()]);
}

function jobNode(job) {
    return { id: job.id, name: job.name, note: `${job.kind} · ${job.state}`, class: `node-${job.state}`, href: `#/jobs/${job.id}` };
}

function groupNode(id, group, jobs) {
    const members = jobs.filter((job) => job.group === group);
    const states = ORDER.filter((state) => members.some((job) => job.state === state));
    const words = states.map((state) => `${members.filter((job) => job.state === state).length} ${state}`);
    return { id, name: `${group} × ${members.length}`, note: words.join(", "), class: `node-${states[0]}` };
}
