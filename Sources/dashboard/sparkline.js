// Small curves without axes, as SVG. Their last value always stands beside them as text.

import { svg } from "./dom.js";

/**
 * A curve of the last minutes.
 * @param {Array<{values: Array<number|null>, class: string}>} curves Each over the same times; null where nothing was measured.
 * @param {number[]} times Unix seconds.
 * @param {number} most The value at the top edge.
 * @param {string} label For screen readers.
 */
export function sparkline(curves, times, most, label) {
    const width = 240;
    const height = 40;
    const first = times[0] ?? 0;
    const span = Math.max(1, (times.at(-1) ?? 1) - first);
    const lines = curves.flatMap(({ values, class: name }) => {
        const stretches = [[]];
        values.forEach((value, index) => {
            if (value === null) return stretches.push([]);
            const x = (times[index] - first) / span * width;
            const y = height - 1 - Math.min(1, value / (most || 1)) * (height - 2);
            return stretches.at(-1).push(`${x.toFixed(1)},${y.toFixed(1)}`);
        });
        return stretches.filter((points) => points.length > 1).map((points) => svg("polyline", { class: name, points: points.join(" ") }));
    });
    const viewBox = `0 0 ${width} ${height}`;
    return svg("svg", { class: "sparkline", viewBox, preserveAspectRatio: "none", role: "img", "aria-label": label }, lines);
}
