// Arithmetic on curves: smoothing, thinning, and bringing several onto one x axis. No DOM, no network.

/** The first index whose step is not less than `step`. */
export function lowerBound(sorted, step) {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle] < step) low = middle + 1;
        else high = middle;
    }
    return low;
}

/** Curves of more recorded points are smoothed as if they had so many: else a given weight would hardly be seen on them. */
const SMOOTHED_POINTS = 1000;

/**
 * An exponential moving average without the pull towards zero at its start. The weight goes by steps, not by the points that are
 * held, so that a curve looks the same however the daemon or the page thinned it, and wherever a zoom made it finer.
 * @param {number[]} steps
 * @param {number[]} values Not finite ones are passed over.
 * @param {number} weight 0 (none) to just under 1: what is kept from one recorded point to the next.
 * @param {number} count How many points were recorded.
 * @returns {number[]}
 */
export function smooth(steps, values, weight, count) {
    const span = steps.at(-1) - steps[0];
    const spacing = Math.max(1e-9, span / Math.max(1, Math.min(count, SMOOTHED_POINTS) - 1));
    const result = new Array(values.length);
    let mean = 0;
    let mass = 0;
    let last = null;
    for (let index = 0; index < values.length; index += 1) {
        const value = values[index];
        if (!Number.isFinite(value)) {
            result[index] = NaN;
            continue;
        }
        const points = last === null ? 1 : (steps[index] - last) / spacing;
        const kept = weight ** points;
        mass = mass * kept + 1 - kept;
        // As a step towards the value, and not as a quotient of two sums: a constant curve stays constant to its last digit.
        mean += (value - mean) * (mass > 0 ? (1 - kept) / mass : 1);
        last = steps[index];
        result[index] = mean;
    }
    return result;
}

/**
 * Halves a curve: of every four points the least and the greatest stay, in their order; a value that is no number stays seen.
 * @param {{steps: number[], times: number[], values: number[], attempts: number[]}} curve Changed in place.
 */
export function halve(curve) {
    const keep = [];
    const size = curve.values.length;
    for (let start = 0; start < size; start += 4) {
        const end = Math.min(size, start + 4);
        let least = start;
        let greatest = start;
        for (let index = start; index < end; index += 1) {
            if (curve.values[index] < curve.values[least] || Number.isNaN(curve.values[least])) least = index;
            if (!Number.isNaN(curve.values[greatest]) && !(curve.values[index] <= curve.values[greatest])) greatest = index;
        }
        keep.push(Math.min(least, greatest));
        if (least !== greatest) keep.push(Math.max(least, greatest));
    }
    // The newest point is the one that readers look at.
    if (keep.at(-1) !== size - 1) keep.push(size - 1);
    for (const name of ["steps", "times", "values", "attempts"]) curve[name] = keep.map((index) => curve[name][index]);
}

/** The indices of the points from `from` to `to`, and one more at either side so that lines run on to the edges. */
function window(x, from, to) {
    return [Math.max(0, lowerBound(x, from) - 1), Math.min(x.length, lowerBound(x, to) + 2)];
}

function exactRows(curves, spans, width) {
    const all = new Set();
    curves.forEach(({ x }, index) => {
        for (let at = spans[index][0]; at < spans[index][1]; at += 1) all.add(x[at]);
    });
    const sorted = Float64Array.from(all).sort();
    const rows = Array.from(sorted, (x) => {
        const row = new Array(width).fill(null);
        row[0] = x;
        return row;
    });
    let column = 1;
    curves.forEach(({ x, lines }, index) => {
        let row = 0;
        for (let at = spans[index][0]; at < spans[index][1]; at += 1) {
            while (sorted[row] < x[at]) row += 1;
            lines.forEach((line, offset) => {
                rows[row][column + offset] = line[at];
            });
        }
        column += lines.length;
    });
    return rows;
}

/** A line's value between two of its points. */
function between(x, line, at, place) {
    while (at < x.length - 1 && x[at + 1] <= place) at += 1;
    if (at === x.length - 1 || x[at] >= place) return line[at];
    return line[at] + (line[at + 1] - line[at]) * (place - x[at]) / (x[at + 1] - x[at]);
}

/** Whether a stretch only rises or only falls, and goes on so at both ends: then neither end is a peak that must be kept. */
function isSlope(values, start, end, size) {
    const [first, last] = [values[start], values[end - 1]];
    const before = start > 0 ? values[start - 1] : first;
    const after = end < size ? values[end] : last;
    return last >= first ? before <= first && after >= last : before >= first && after <= last;
}

/** Two rows for each stretch of the axis, with each curve's least and greatest value there, in their order. */
function thinRows(curves, spans, width, from, to, stretches) {
    const size = (to - from) / stretches;
    const rows = new Array(2 * stretches + 4);
    const middle = (place) => from + (place - 2 + 0.5) * size / 2;
    const put = (place, column, value) => {
        rows[place] ??= Object.assign(new Array(width).fill(null), { 0: middle(place) });
        rows[place][column] = value;
    };
    let column = 1;
    curves.forEach(({ x, lines }, index) => {
        const [values] = lines;
        for (let at = spans[index][0]; at < spans[index][1];) {
            const stretch = Math.max(-1, Math.min(stretches, Math.floor((x[at] - from) / size)));
            const end = from + (stretch + 1) * size;
            const start = at;
            let least = at;
            let greatest = at;
            for (at += 1; at < spans[index][1] && x[at] < end; at += 1) {
                if (values[at] < values[least] || Number.isNaN(values[least])) least = at;
                if (values[at] > values[greatest] || Number.isNaN(values[greatest])) greatest = at;
            }
            const place = 2 * stretch + 2;
            const [one, other] = least < greatest ? [least, greatest] : [greatest, least];
            const isInside = stretch >= 0 && stretch < stretches;
            const isMoved = isInside && one === start && other === at - 1 && isSlope(values, start, at, x.length);
            lines.forEach((line, offset) => {
                if (isMoved) {
                    // The ends of a slope, moved to where rows lie, would make stairs of it.
                    put(place, column + offset, between(x, line, Math.max(0, start - 1), middle(place)));
                    put(place + 1, column + offset, between(x, line, start, middle(place + 1)));
                    return;
                }
                put(place, column + offset, line[one]);
                if (one !== other) put(place + 1, column + offset, line[other]);
            });
        }
        column += lines.length;
    });
    return rows.filter(Boolean);
}

/**
 * Brings curves onto one x axis, for dygraphs: rows of x and a value for each line, null where a curve has no point there.
 * @param {Array<{x: number[], lines: number[][]}>} curves The first line of each decides which points are kept.
 * @param {number} from Left edge.
 * @param {number} to Right edge.
 * @param {number} stretches How finely the axis may be divided: about one for each pixel is enough.
 * @returns {Array<Array<number|null>>}
 */
export function align(curves, from, to, stretches) {
    const spans = curves.map(({ x }) => window(x, from, to));
    const width = 1 + curves.reduce((sum, { lines }) => sum + lines.length, 0);
    const most = Math.max(0, ...spans.map(([start, end]) => end - start));
    const points = spans.reduce((sum, [start, end]) => sum + end - start, 0);
    // Curves of equal steps share their rows, so the longest tells how many there will be; others add up.
    if (points <= 2 * stretches || (curves.length === 1 && most <= 3 * stretches) || to <= from) return exactRows(curves, spans, width);
    return thinRows(curves, spans, width, from, to, stretches);
}
