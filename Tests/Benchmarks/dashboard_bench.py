"""The dashboard in a real browser without a graphics card: how soon its first curve is on the screen, and how fluently curves stream."""

from __future__ import annotations

import contextlib
import random
import statistics
import sys
import time

import curves_bench
import measure
from harness import browser as chromium
from harness import daemon as harness

RUNS = 200
POINTS = 10_000
LOOKS = 9
CURVES = 8
HISTORY = 1000
POINTS_PER_SECOND = 20
WATCH_SECONDS = 8
BAR_SECONDS = 1.0
BAR_FRAMES = 30.0
#: Notes when the first curve is on the screen: the start of the frame after the one in which a canvas was first seen to hold a coloured line
#: (axes and grid are grey). Milliseconds since the start of the navigation.
FIRST_CURVE = """(() => {
    const isDrawn = (canvas) => {
        if (!canvas.width || !canvas.height) return false;
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < data.length; at += 4) {
            if (data[at + 3] > 128 && Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 80) return true;
        }
        return false;
    };
    const look = () => {
        if (![...document.querySelectorAll(".chart .plot canvas")].some(isDrawn)) return requestAnimationFrame(look);
        requestAnimationFrame((now) => { window.firstCurve = now; });
    };
    requestAnimationFrame(look);
})()"""
#: Counts frames and drawings of charts for some seconds: [frames a second, longest frame in ms, drawings a second, points].
FRAMES = """new Promise((resolve) => {
    const chart = document.querySelector(".chart").chart;
    const kind = Object.getPrototypeOf(chart);
    const draw = kind.draw;
    const held = () => [...document.querySelectorAll(".chart")].flatMap(({ chart: one }) => one?.lines ?? [])
        .reduce((sum, line) => sum + line.curve.count, 0);
    let drawings = 0;
    kind.draw = function counted() { drawings += 1; return draw.call(this); };
    const before = held();
    let frames = 0;
    let longest = 0;
    let start;
    let last;
    const frame = (now) => {
        start ??= now;
        longest = Math.max(longest, now - (last ?? now));
        last = now;
        if (now - start < %d) { frames += 1; return requestAnimationFrame(frame); }
        kind.draw = draw;
        const seconds = (now - start) / 1000;
        resolve([frames / seconds, longest, drawings / seconds, (held() - before) / seconds]);
    };
    requestAnimationFrame(frame);
})"""
WRITER = """
import json, math, os, random, sys, threading
keys = [f"train/curve{index}" for index in range(int(sys.argv[1]))]
with open(os.environ["ANNEAL_METRICS"], "a") as file:
    for step in range(1, 1_000_000):
        file.write(json.dumps({"step": step, **{key: 1 + 2 / (1 + step / 300) + random.gauss(0, 0.05) for key in keys}}) + "\\n")
        if step >= int(sys.argv[2]):
            file.flush()
            threading.Event().wait(1 / float(sys.argv[3]))
"""


@contextlib.contextmanager
def browsing(folder):
    """A browser; what needs one is not measured where none is installed."""
    if chromium.find() is None:
        raise measure.CannotMeasure("no Chromium is installed")
    profile = folder / f"browser-{time.monotonic_ns()}"
    try:
        with chromium.running(profile) as browser:
            yield browser
    except chromium.BrowserFailed as error:
        raise measure.CannotMeasure(str(error)) from error


def recorded_runs(ours: harness.Daemon) -> list[str]:
    """Finished jobs with a long curve each; returns their identifiers."""
    job = {"kind": "command", "command": ["true"], "cache": False}
    experiment = ours.submit({"name": "many", "jobs": {f"run-{index}": job for index in range(RUNS)}})
    ours.finish(experiment["id"])
    client = curves_bench.Client(ours.port)
    generator = random.Random(4)
    runs = [one["id"] for one in experiment["jobs"]]
    for run in runs:
        body = curves_bench.native_body("train/loss", 1, POINTS, lambda index: curves_bench.loss(index, generator))
        client.post(f"/v1/jobs/{run}/metrics", body)
    return runs


def first_curve(table, cores, daemon, folder) -> None:
    """From the start of the navigation to the first curve on the screen, with nothing in the browser's cache."""
    with daemon("first-curve", measure.Cores(None, None), ["--cpus", "64"]) as ours, browsing(folder) as browser:
        runs = recorded_runs(ours)
        seconds = []
        for run in random.Random(5).sample(runs, LOOKS):
            page = browser.open()
            page.at_start(FIRST_CURVE)
            page.goto(f"{ours.url}/#/jobs/{run}")
            page.wait_for("window.firstCurve")
            seconds.append(page.run("window.firstCurve") / 1000)
            page.close()
    middle = statistics.median(seconds)
    what = f"first curve on the screen, ms median (worst of {LOOKS}), {RUNS} runs of {POINTS:,} points"
    figures = f"{1000 * middle:.0f} ({1000 * max(seconds):.0f})"
    table.add(what, figures, f"{1000 * BAR_SECONDS:.0f} ms", middle / BAR_SECONDS, "< 1", middle < BAR_SECONDS)


def frames(table, cores, daemon, folder) -> None:
    """Frames a second while eight curves stream: eight runs on one chart, and eight charts of one run."""

    def writer(keys: int) -> dict:
        arguments = [str(keys), str(HISTORY), str(POINTS_PER_SECOND)]
        return {"kind": "command", "command": [sys.executable, "-S", "-c", WRITER, *arguments], "cache": False}

    pages = {f"{CURVES} runs on one chart": ({f"run-{index}": writer(1) for index in range(CURVES)}, "compare?jobs="),
             f"{CURVES} charts of one run": ({"run": writer(CURVES)}, "jobs/")}  # fmt: skip
    for what, (jobs, place) in pages.items():
        with daemon("frames", measure.Cores(None, None), ["--cpus", "16"]) as ours, browsing(folder) as browser:
            experiment = ours.submit({"name": "streaming", "jobs": jobs})
            ids = [job["id"] for job in experiment["jobs"]]
            for job in ids:
                while ours.call("GET", f"/v1/jobs/{job}?wait=10")[1]["state"] != "running":
                    pass
            page = browser.open(1400, 1100)
            page.goto(f"{ours.url}/#/{place}{','.join(ids)}")
            lines = "[...document.querySelectorAll('.chart')].flatMap(({ chart }) => chart?.lines ?? [])"
            page.wait_for(f"{lines}.filter((line) => line.curve.count > {HISTORY}).length === {CURVES}")
            rate, longest, drawings, points = page.run(FRAMES % (1000 * WATCH_SECONDS))
            page.close()
            ours.call("POST", f"/v1/experiments/{experiment['id']}/cancel", {})
            ours.finish(experiment["id"])
        figures = f"{rate:.0f} (longest frame {longest:.0f} ms, {drawings:.0f} drawings/s, {points:.0f} points/s)"
        table.add(f"frames/s while {what} stream", figures, f"{BAR_FRAMES:.0f} frames/s", rate / BAR_FRAMES, "≥ 1", rate >= BAR_FRAMES)


PARTS = [first_curve, frames]
