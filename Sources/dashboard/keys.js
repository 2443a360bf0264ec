// The order and the groups of metric keys.

const GROUPS = ["train", "loss", "val", "validation", "eval", "reward"];
/** What tells of the machine and of the daemon's own bookkeeping comes last. */
const LAST = ["timing", "progress", "ray", "system"];

/**
 * Sorts keys: groups that matter most first, losses first within a group.
 * @param {string} one
 * @param {string} other
 * @returns {number} For Array.sort.
 */
export function byImportance(one, other) {
    const rank = (key) => {
        const place = GROUPS.indexOf(groupOf(key));
        const middle = GROUPS.length + 1 + LAST.indexOf(groupOf(key));
        return [place < 0 ? middle : place, groupOf(key), key.includes("loss") ? 0 : 1, key];
    };
    const [left, right] = [rank(one), rank(other)];
    const at = left.findIndex((part, index) => part !== right[index]);
    return at < 0 ? 0 : left[at] < right[at] ? -1 : 1;
}

/** The group of a key: what stands before its first slash. */
export function groupOf(key) {
    const slash = key.indexOf("/");
    return slash > 0 ? key.slice(0, slash) : "general";
}
