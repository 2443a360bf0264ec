// The order and the groups of metric keys.

const GROUPS = ["train", "loss", "val", "validation", "eval", "reward"];
/** What tells of the machine and of the daemon's own bookkeeping comes last. */
const LAST = ["data", "packing", "timing", "progress", "ray", "system"];
/** Groups of figures that are said once: there is no curve to look at. */
const FOLDED = ["data", "packing", "progress"];

/** What readers look for after the loss, and what is there for those who look for a fault. */
const TELLING = /reward|acc|score|pass_|perplexity/;
const HEALTH = /kl_|cosine|grad_norm|[/_]lr$|entropy/;
const INNER = /_unscaled|_all_|error|probs_ratio|advantages|pct_|_toks$|num_|total_|mean_prompt|micro_batches|epoch|samples/;

function place(key) {
    if (key.includes("loss")) return 0;
    if (INNER.test(key)) return 4;
    if (TELLING.test(key)) return 1;
    return HEALTH.test(key) ? 2 : 3;
}

/**
 * Sorts keys: groups that matter most first, losses first within a group and what only experts read last.
 * @param {string} one
 * @param {string} other
 * @returns {number} For Array.sort.
 */
export function byImportance(one, other) {
    const rank = (key) => {
        const group = GROUPS.indexOf(groupOf(key));
        const middle = GROUPS.length + 1 + LAST.indexOf(groupOf(key));
        return [group < 0 ? middle : group, groupOf(key), place(key), key];
    };
    const [left, right] = [rank(one), rank(other)];
    const at = left.findIndex((part, index) => part !== right[index]);
    return at < 0 ? 0 : left[at] < right[at] ? -1 : 1;
}

/** Whether a group is shown only when it is asked for. */
export function isFolded(group) {
    return FOLDED.includes(group);
}

/** The group of a key: what stands before its first slash. */
export function groupOf(key) {
    const slash = key.indexOf("/");
    return slash > 0 ? key.slice(0, slash) : "general";
}
