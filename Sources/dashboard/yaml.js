// Writes a spec as YAML, the form in which people wrote it.

const PLAIN = /^[A-Za-z_./][A-Za-z0-9_./@ +*=-]*$/;
const WORDS = /^(true|false|null|yes|no|on|off|y|n|~)$/i;

function scalar(value) {
    if (typeof value !== "string") return JSON.stringify(value);
    const isPlain = PLAIN.test(value) && !WORDS.test(value) && !value.endsWith(" ");
    return isPlain ? value : JSON.stringify(value);
}

function isNested(value) {
    return value !== null && typeof value === "object" && Object.keys(value).length > 0;
}

/** Short lists of scalars stay on their line. */
function inline(value) {
    if (!Array.isArray(value) || value.some((item) => item !== null && typeof item === "object")) return null;
    const text = `[${value.map(scalar).join(", ")}]`;
    return text.length <= 90 ? text : null;
}

function lines(value, indent) {
    const pad = " ".repeat(indent);
    const entry = (head, item, depth) => {
        if (!isNested(item)) return block(head, item, depth);
        const short = inline(item);
        return short ? [`${pad}${head} ${short}`] : [`${pad}${head}`, ...lines(item, depth)];
    };
    const block = (head, item, depth) => {
        if (typeof item !== "string" || !item.includes("\n")) return [`${pad}${head} ${scalar(item)}`];
        const body = item.replace(/\n$/, "").split("\n").map((line) => " ".repeat(depth) + line);
        return [`${pad}${head} |${item.endsWith("\n") ? "" : "-"}`, ...body];
    };
    if (!Array.isArray(value)) {
        return Object.entries(value).flatMap(([key, item]) => entry(`${scalar(key)}:`, item, indent + 2));
    }
    return value.flatMap((item) => {
        if (!isNested(item) || inline(item)) return entry("-", item, indent + 2);
        const inner = lines(item, indent + 2);
        inner[0] = `${pad}- ${inner[0].trimStart()}`;
        return inner;
    });
}

/**
 * A document as YAML, in the order of its keys.
 * @param {object} document
 * @returns {string[]} Its lines.
 */
export function yamlLines(document) {
    return lines(document, 0);
}
