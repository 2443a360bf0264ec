// Pointer and keyboard on a chart: a cursor that all charts share, and zoom by drag.

const LEAST_DRAG = 8;

/** The x value under the pointer, kept inside the plotting area. */
function valueAt(chart, event) {
    const area = chart.graph.getArea();
    const left = event.clientX - chart.frame.getBoundingClientRect().left;
    const inside = Math.max(area.x, Math.min(area.x + area.w, left));
    return { left: inside, value: chart.graph.toDataXCoord(inside) };
}

function keyZoom(chart, key) {
    const { panel } = chart;
    const { axis } = chart;
    const [from, to] = panel.window(axis);
    const span = to - from;
    switch (key) {
    case "+":
    case "=": return panel.zoom(axis, from + span / 4, to - span / 4);
    case "-": return panel.zoom(axis, from - span / 2, to + span / 2);
    case "ArrowLeft": return panel.zoom(axis, from - span / 4, to - span / 4);
    case "ArrowRight": return panel.zoom(axis, from + span / 4, to + span / 4);
    default: return panel.resetZoom();
    }
}

/**
 * Listens on a chart's frame.
 * @param {object} chart
 */
export function attachPointer(chart) {
    const { frame, brush } = chart;
    let start = null;
    frame.addEventListener("pointerdown", (event) => {
        if (!chart.graph || event.button !== 0) return;
        start = valueAt(chart, event);
        frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
        if (!chart.graph) return;
        const here = valueAt(chart, event);
        chart.panel.setCursor(chart.axis, here.value);
        if (!start) return;
        const width = Math.abs(here.left - start.left);
        brush.hidden = width < LEAST_DRAG;
        brush.style.left = `${Math.min(here.left, start.left)}px`;
        brush.style.width = `${width}px`;
    });
    const finish = (event) => {
        if (!start) return;
        const end = valueAt(chart, event);
        const begin = start;
        start = null;
        brush.hidden = true;
        if (event.type === "pointerup" && Math.abs(end.left - begin.left) >= LEAST_DRAG) {
            chart.panel.zoom(chart.axis, Math.min(begin.value, end.value), Math.max(begin.value, end.value));
        }
    };
    frame.addEventListener("pointerup", finish);
    frame.addEventListener("pointercancel", finish);
    frame.addEventListener("pointerleave", () => chart.panel.setCursor(chart.axis, null));
    frame.addEventListener("dblclick", () => chart.panel.resetZoom());
    frame.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || !["+", "=", "-", "0", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
        event.preventDefault();
        keyZoom(chart, event.key);
    });
}
