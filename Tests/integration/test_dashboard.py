"""The dashboard in a real browser, on a real daemon: live curves, a crash in their midst, actions, the token, and every page at two widths."""

import json
import pathlib
import socket
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests"))

from conftest import Daemon, python, script, shell, wait_until  # noqa: E402
from harness import browser as chromium  # noqa: E402
from test_generate import Mock  # noqa: E402

LIBRARY = [pathlib.Path(folder) / "dygraph.min.js" for folder in ("/usr/share/javascript/dygraphs", "/usr/share/nodejs/dygraphs/dist")]
#: Writes a hundred points and lines each time that the next of the named files appears, and says after each hundred how far it is.
WRITER = """
import json, os, pathlib, sys, threading
gates = pathlib.Path(sys.argv[1])
step = 0
with open(os.environ["ANNEAL_METRICS"], "a") as metrics:
    for gate in range(int(sys.argv[2])):
        while not (gates / f"go-{gate}").exists():
            threading.Event().wait(0.02)
        for _ in range(100):
            step += 1
            print(f"line {step}", flush=True)
            metrics.write(json.dumps({"step": step, "train/loss": 4 / step, "train/lr": 1e-4 * step}) + "\\n")
            metrics.flush()
            threading.Event().wait(0.005)
        (gates / f"done-{gate}").touch()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for the module; without it, or without the chart library, the tests are skipped by name."""
    if chromium.find() is None:
        pytest.skip("no Chromium: install Debian's 'chromium'")
    if not any(path.exists() for path in LIBRARY):
        pytest.skip("no dygraphs: install Debian's 'libjs-dygraphs'")
    with chromium.running(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def page(browser):
    """A page that must not say a word on its console, nor break its content security policy."""
    opened = browser.open()
    yield opened
    problems = opened.problems
    opened.close()
    assert problems == []


def fixed_port(host="127.0.0.1"):
    """Flags for a daemon that comes back at the same address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return ["--listen", f"{host}:{probe.getsockname()[1]}", "--cpus", "2"]


def begin(daemon, jobs, **more):
    """Submits jobs and returns the experiment's identifier and those of the jobs, by name."""
    answer = daemon.submit({"name": "looked-at", "jobs": jobs, **more})
    assert answer.status == 201, answer.body
    return answer.json["id"], {job["name"]: job["id"] for job in answer.json["jobs"]}


#: What a chart holds and what of it is drawn: [steps, values, rows of the drawing].
CURVE = """(() => {{
    const chart = [...document.querySelectorAll(".chart")].map((node) => node.chart).find((one) => one?.key === {key});
    const graph = chart?.graph;
    if (!graph) return null;
    const rows = Array.from({{ length: graph.numRows() }}, (_, row) => [graph.getValue(row, 0), graph.getValue(row, 1)]);
    return [chart.lines[0].curve.steps, chart.lines[0].curve.values, rows];
}})()"""


def curve_on(page, key):
    """A curve as the page has it."""
    return page.run(CURVE.format(key=json.dumps(key)))


def drawn(page, key, count):
    """Waits until so many points of a curve are drawn."""
    script = f"(({CURVE.format(key=json.dumps(key))}) ?? [[], [], []])[2].length >= {count}"
    page.wait_for(script)


def test_no_point_is_lost_or_shown_twice_when_the_daemon_is_killed(make_daemon, page, tmp_path):
    daemon = make_daemon("--gpus", "none", *fixed_port()).start()
    _, jobs = begin(daemon, {"sft": python(WRITER, str(tmp_path), "4")})
    daemon.wait_for(jobs["sft"], "running")
    page.goto(f"{daemon.url}/#/jobs/{jobs['sft']}")
    page.wait_for_text("sft", "h1")
    (tmp_path / "go-0").touch()
    drawn(page, "train/loss", 100)
    page.run("document.querySelector('.log').scrollIntoView()")
    page.wait_for("document.querySelector('.log').innerText.includes('line 100\\n')")
    # Live, then in nobody's sight, then with the new daemon.
    (tmp_path / "go-1").touch()
    drawn(page, "train/loss", 200)
    daemon.kill()
    page.wait_for("document.getElementById('connection').dataset.state === 'reconnecting'")
    (tmp_path / "go-2").touch()
    wait_until((tmp_path / "done-2").exists, "the third hundred")
    daemon.start()
    page.wait_for("document.getElementById('connection').dataset.state === 'live'")
    drawn(page, "train/loss", 300)
    (tmp_path / "go-3").touch()
    drawn(page, "train/loss", 400)
    page.wait_for_text("succeeded", "h1")
    for key in ("train/loss", "train/lr"):
        page.run(f"[...document.querySelectorAll('.chart')].find((node) => node.chart.key === {json.dumps(key)}).scrollIntoView()")
        drawn(page, key, 400)
        told = daemon.curve(jobs["sft"], key)
        steps, values, rows = curve_on(page, key)
        assert steps == [point["step"] for point in told] == list(range(1, 401))
        assert values == [point["value"] for point in told]
        assert rows == [[point["step"], point["value"]] for point in told]
    page.wait_for("document.querySelector('.log').innerText.includes('line 400')")
    lines = page.run("document.querySelector('.log').innerText.split('\\n').filter(Boolean)")
    assert lines == [f"line {step}" for step in range(1, 401)]


@pytest.mark.slow
def test_a_real_training_is_watched_through_a_restart_of_the_daemon(make_daemon, page):
    steps = 400
    daemon = make_daemon("--gpus", "none", *fixed_port()).start()
    _, jobs = begin(daemon, {"sft": script("sft.py", "tensorboard", str(steps), env={"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})})
    page.goto(f"{daemon.url}/#/jobs/{jobs['sft']}")
    page.wait_for_text("sft", "h1")
    page.wait_for("[...document.querySelectorAll('.chart')].some((node) => node.chart.key === 'train/loss')")
    daemon.kill()
    page.wait_for("document.getElementById('connection').dataset.state === 'reconnecting'")
    daemon.start()
    page.wait_for_text("succeeded", "h1")
    page.run("[...document.querySelectorAll('.chart')].find((node) => node.chart.key === 'train/loss').scrollIntoView()")
    drawn(page, "train/loss", steps)
    told = daemon.curve(jobs["sft"], "train/loss")
    seen, values, _ = curve_on(page, "train/loss")
    assert seen == [point["step"] for point in told] == list(range(1, steps + 1))
    assert values == [point["value"] for point in told]


def test_a_job_is_cancelled_from_its_page_only_after_a_question(daemon, page):
    _, jobs = begin(daemon, {"endless": shell("while :; do sleep 0.05; done")})
    daemon.wait_for(jobs["endless"], "running")
    page.goto(f"{daemon.url}/#/jobs/{jobs['endless']}")
    page.click("[aria-label='Cancel endless']")
    page.wait_for_text("Cancel endless?", "dialog[open]")
    page.press("Escape")
    page.wait_for("!document.querySelector('dialog')")
    assert daemon.job(jobs["endless"])["state"] == "running"
    page.click("[aria-label='Cancel endless']")
    page.click("dialog[open] button.danger")
    page.wait_for_text("cancelled", "h1")
    assert daemon.wait_for(jobs["endless"], "cancelled")["reason"] == "cancelled"
    page.click("[aria-label='Retry endless']")
    page.click("dialog[open] button.primary")
    page.wait_for_text("running", "h1")
    assert len(daemon.wait_for(jobs["endless"], "running")["attempts"]) == 2


def test_priority_and_hold_are_changed_in_the_queue(daemon, page):
    body = shell("while :; do sleep 0.05; done", resources={"cpus": 2})
    _, jobs = begin(daemon, {"first": body, "second": {**body, "needs": []}})
    wait_until(lambda: any(daemon.job(job)["state"] == "running" for job in jobs.values()), "a running job")
    name, waiting = next((name, job) for name, job in jobs.items() if daemon.job(job)["state"] != "running")
    page.goto(f"{daemon.url}/#/queue")
    page.wait_for_text("it waits for 2 CPU", "tbody")
    page.click(f"[aria-label^='Priority of {name}']")
    page.run("document.querySelector('dialog input').select()")
    page.type("77")
    page.press("Enter")
    page.wait_for(f"document.querySelector(\"[aria-label^='Priority of {name}: 77']\")")
    assert daemon.job(waiting)["priority"] == 77
    page.click(f"[aria-label='Hold {name}']")
    page.click("dialog[open] button.primary")
    page.wait_for_text("it is held until somebody releases it", "tbody")
    assert daemon.job(waiting)["held"] is True


def test_a_daemon_with_a_token_is_asked_for_it_and_the_page_keeps_it_to_itself(make_daemon, page):
    daemon = make_daemon("--gpus", "none", *fixed_port("0.0.0.0")).start()
    daemon.token = (daemon.folder / "token").read_text().strip()
    begin(daemon, {"a": shell("true")})
    page.goto(daemon.url)
    page.wait_for_text("The daemon wants a token.", "dialog[open]")
    page.type("wrong")
    page.press("Enter")
    page.wait_for_text("The daemon did not take the token.", "dialog[open]")
    page.type(daemon.token)
    page.press("Enter")
    page.wait_for_text("looked-at", "tbody")
    page.wait_for("document.getElementById('connection').dataset.state === 'live'")
    kept = page.run("[location.href, document.cookie, document.referrer, JSON.stringify(localStorage)].join()")
    assert daemon.token not in kept
    assert page.run("Object.values(sessionStorage)") == [daemon.token]
    # Another tab does not know it.
    page.run("sessionStorage.clear()")
    page.goto(f"{daemon.url}/#/queue")
    page.wait_for_text("The daemon wants a token.", "dialog[open]")


def test_what_users_write_stays_text(daemon, page):
    evil = "<img src=x onerror='window.wasRun = true'><script>window.wasRun = true</script>"
    job = shell("echo \"$EVIL\"; printf '{\"step\": 1, \"<b>loss</b>\": 1}\\n' >> $ANNEAL_METRICS; exit 3", env={"EVIL": evil})
    experiment, jobs = begin(daemon, {"a": job}, description=evil, tags={"team": evil})
    daemon.finished(experiment)
    page.goto(f"{daemon.url}/#/experiments/{experiment}")
    page.wait_for("document.querySelector('.tag')")
    assert evil in page.run("document.body.innerText")
    page.goto(f"{daemon.url}/#/jobs/{jobs['a']}")
    page.wait_for_text("<b>loss</b>", ".chart h4")
    page.run("document.querySelector('.log').scrollIntoView()")
    page.wait_for_text(evil, ".log")
    assert page.run("window.wasRun === undefined && document.querySelectorAll('main img, main script').length === 0")


def test_the_policy_stops_a_script_that_comes_from_elsewhere(browser, daemon):
    policy = daemon.get("/").headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["base-uri"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
    page = browser.open()
    page.goto(daemon.url)
    page.wait_for_text("No experiments yet", "main")
    page.run("document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.wasRun = true' }))")
    page.run("Object.assign(document.createElement('b'), {}).setAttribute('onclick', 'window.wasRun = true')")
    wait_until(lambda: page.problems, "the browser's word on the broken policy")
    assert page.run("window.wasRun === undefined")
    page.close()


@pytest.fixture(scope="module")
def filled(browser, tmp_path_factory):
    """A daemon that has something to show on every page; yields it with what is in it."""
    daemon = Daemon(tmp_path_factory.mktemp("filled") / "data", "--gpus", "sim:2", "--cpus", "4")
    gates = tmp_path_factory.mktemp("gates")
    (gates / "go-0").touch()
    writer = python(WRITER, str(gates), "1")
    try:
        daemon.start()
        row = b'{"input": "1", "output": "2"}\n'
        rows = daemon.post("/v1/datasets?name=rows", row, **{"Content-Type": "application/x-ndjson"})
        assert rows.status == 201
        experiment, jobs = begin(daemon, {"sft": writer, "dpo": writer, "bad": shell("exit 3"), "after": shell("true", needs=["bad"])})
        daemon.finished(experiment)
        holder = shell("while :; do sleep 0.05; done", resources={"gpus": 1})
        _, others = begin(daemon, {"holds": holder, "waits": shell("true", resources={"gpus": 2})})
        daemon.wait_for(others["holds"], "running")
        yield daemon, experiment, {**jobs, **others, "rows": rows.json["id"]}
    finally:
        daemon.clean_up()


PAGES = {
    "experiments": ("#/", "Experiments"),
    "an experiment": ("#/experiments/{experiment}", "looked-at"),
    "a job": ("#/jobs/{sft}", "sft"),
    "a job with a second run": ("#/jobs/{sft}?with={dpo}", "sft"),
    "a failed job": ("#/jobs/{bad}", "bad"),
    "a waiting job": ("#/jobs/{waits}", "waits"),
    "a link of MLflow's client": ("#/experiments/{experiment}/runs/{sft}", "sft"),
    "a comparison": ("#/compare?jobs={sft},{dpo}", "Compare runs"),
    "queue": ("#/queue", "Queue"),
    "GPUs": ("#/gpus", "GPUs"),
    "evaluations": ("#/evaluations", "Evaluations"),
    "datasets": ("#/datasets", "Datasets"),
    "a dataset": ("#/datasets/{rows}", "rows@1"),
    "a job that is not there": ("#/jobs/job_01aaaaaaaaaaaaaaaaaaaaaaaa", "Not found"),
}
#: Controls that a screen reader could not name.
NAMELESS = """[...document.querySelectorAll("a, button, input, select, summary, [tabindex='0']")].filter((node) => node.getClientRects().length
    && !(node.innerText?.trim() || node.getAttribute("aria-label") || node.labels?.length || node.title)).map((node) => node.outerHTML)"""


@pytest.mark.parametrize("where", PAGES)
def test_every_page_can_be_read_by_everybody(filled, page, where):
    daemon, experiment, jobs = filled
    address, title = PAGES[where]
    page.goto(daemon.url + "/" + address.format(experiment=experiment, **jobs))
    page.wait_for_text(title, "h1")
    page.wait_for("document.getElementById('connection').dataset.state !== 'connecting'")
    assert page.run("document.querySelectorAll('h1').length") == 1
    assert page.run(NAMELESS) == []
    for width in (1400, 360):
        page.resize(width, 780)
        page.wait_for("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true))))")
        assert page.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, width
    # Only the job that is not there was refused.
    assert page.failed_requests == [] or where == "a job that is not there"


def test_a_dataset_is_found_in_the_list_and_looked_into(filled, page):
    daemon, _, _ = filled
    pairs = "".join(json.dumps({"input": f"question {n}", "output": "yes" if n % 4 else "no"}) + "\n" for n in range(40)).encode()
    assert daemon.post("/v1/datasets?name=pairs", pairs, **{"Content-Type": "application/x-ndjson"}).status == 201
    patch = daemon.request("PATCH", "/v1/datasets/pairs", b'{"tags": {"quality": "checked"}}', {"Content-Type": "application/json"})
    assert patch.status == 200
    page.goto(daemon.url + "/#/datasets")
    page.wait_for_text("quality: checked", "tbody")
    page.run("[...document.querySelectorAll('td a')].find((link) => link.innerText === 'pairs').click()")
    page.wait_for_text("pairs@1", "h1")
    page.wait_for_text("yes", "section[aria-label=Labels] tbody")
    widths = "[...document.querySelectorAll('section[aria-label=Labels] .bar')].map((bar) => bar.getBoundingClientRect().width)"
    wide, narrow = page.run(widths)
    assert abs(wide - 3 * narrow) < 1 and narrow > 1, "30 times yes, 10 times no"
    page.wait_for_text("question 0", "section[aria-label=Samples] pre")
    page.wait_for_text("100 %", "section[aria-label=Schema] tbody")


def test_two_runs_share_a_zoom_and_their_specs_are_compared(filled, page):
    daemon, _, jobs = filled
    page.goto(f"{daemon.url}/#/compare?jobs={jobs['sft']},{jobs['dpo']}")
    drawn(page, "train/loss", 100)
    page.wait_for("document.querySelector('.chart .legend').children.length === 2")
    left, top, width = page.run("(() => { const box = document.querySelector('.plot-frame').getBoundingClientRect(); return [box.x, box.y, box.width]; })()")
    page.mouse("mousePressed", left + width * 0.4, top + 50)
    page.mouse("mouseMoved", left + width * 0.5, top + 50)
    page.mouse("mouseReleased", left + width * 0.6, top + 50)
    ranges = "[...document.querySelectorAll('.chart')].map((node) => node.chart.graph?.xAxisRange().map(Math.round).join())"
    page.wait_for(f"(({ranges}).length === 2 && new Set({ranges}).size === 1 && document.querySelector('.chart').chart.graph.xAxisRange()[0] > 20)")
    page.run("[...document.querySelectorAll('button')].find((button) => button.innerText === 'Reset zoom').click()")
    page.wait_for("document.querySelector('.chart').chart.graph.xAxisRange()[0] < 1")
    page.wait_for_text("The specs are equal.", "section[aria-label=Spec]")


def test_two_evaluations_are_compared_and_what_got_worse_is_flagged(make_daemon, page, tmp_path):
    daemon = make_daemon("--gpus", "none").start()
    for name, wrong in (("base", 0), ("tuned", 2)):
        lines = [
            {"problem": f"ten times {i}", "expected_answer": str(i * 10), "task": "odd" if i % 2 else "even",
             "generation": str(i if wrong and i % wrong else i * 10)} for i in range(40)
        ]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    jobs = {
        name: {"kind": "evaluate", "benchmarks": [{"generations": str(tmp_path / f"{name}.jsonl"), "name": "tens"}]}
        for name in ("base", "tuned")
    }
    ended = daemon.run({"name": "two", "jobs": jobs})
    base, tuned = (ended["jobs"][name]["outputs"]["evaluation"]["id"] for name in ("base", "tuned"))
    page.goto(f"{daemon.url}/#/evaluations?base={base}&candidate={tuned}")
    page.wait_for_text("Worse beyond chance: tens, tens/odd", "section[aria-label=Comparison]")
    page.wait_for_text("Items that flipped: 20", "section[aria-label=Comparison] summary")
    verdicts = page.run("[...document.querySelectorAll('section[aria-label=Comparison] table')[0].tBodies[0].rows].map((row) => "
                        "[row.cells[0].innerText, row.cells[row.cells.length - 1].innerText])")
    assert verdicts == [["tens", "regression"], ["tens/even", "unclear"], ["tens/odd", "regression"]]
    assert page.failed_requests == []


#: A curve with single peaks, one that only rises, and one that never changes, each thinned to a tenth and smoothed.
ARITHMETIC = """import("/assets/series.js").then(({ align, smooth }) => {
    const steps = Array.from({ length: 2000 }, (_, index) => index);
    const spiky = steps.map((step) => (step % 97 === 0 ? 50 + step : step % 3));
    const rising = steps.map((step) => step * step);
    const rows = align([{ x: steps, lines: [spiky] }, { x: steps, lines: [rising] }], 0, 1999, 100);
    const column = (index) => rows.map((row) => row[index]).filter((value) => value !== null);
    const jumps = column(2).map((value, at, all) => value - (all[at - 1] ?? 0)).slice(2, -2);
    return {
        rows: rows.length,
        peaks: steps.filter((step) => step % 97 === 0 && !column(1).includes(50 + step)),
        lows: Math.min(...column(1)),
        stairs: jumps.filter((jump, at) => at > 0 && jump < jumps[at - 1]).length,
        constant: new Set(smooth(steps, steps.map(() => 0.1), 0.6, 2000)).size,
    };
})"""


def test_thinning_keeps_every_peak_and_smoothing_invents_nothing(filled, page):
    page.goto(filled[0].url)
    page.wait_for_text("Experiments", "h1")
    found = page.run(ARITHMETIC)
    assert found.pop("rows") <= 204
    assert found == {"peaks": [], "lows": 0, "stairs": 0, "constant": 1}


def test_the_keyboard_leads_everywhere(filled, page):
    daemon, _, jobs = filled
    page.goto(f"{daemon.url}/#/jobs/{jobs['sft']}")
    page.wait_for_text("sft", "h1")
    page.press("?")
    page.wait_for_text("search on this page", "dialog[open]")
    page.press("Escape")
    page.wait_for("!document.querySelector('dialog')")
    page.press("/")
    page.wait_for("document.activeElement.matches('[data-search]')")
    page.type("nothing")
    page.wait_for_text("No key matches.", ".panel")
    page.run("document.activeElement.blur()")
    page.press("g")
    page.press("q")
    page.wait_for_text("Queue", "h1")
    assert page.run("document.activeElement.tagName") == "H1"


def test_a_generation_shows_its_passes_failures_and_samples(make_daemon, page, tmp_path):
    server = Mock("--mode", "poison:q1*")
    try:
        data = tmp_path / "data.jsonl"
        data.write_text("".join(json.dumps({"id": number, "problem": f"q{number}*"}) + "\n" for number in range(20)))
        daemon = make_daemon("--gpus", "none", *fixed_port()).start()
        job = {"kind": "generate", "server": {"url": server.url}, "dataset": str(data), "prompt": {"user": "{problem}"}, "samples": 2}
        experiment, jobs = begin(daemon, {"gen": job})
        daemon.finished(experiment)
        page.goto(f"{daemon.url}/#/jobs/{jobs['gen']}")
        page.wait_for_text("38 of 40 generations · 2 failed", ".generations")
        page.wait_for("document.querySelectorAll('.generations progress').length === 2")
        page.wait_for_text("the prompt is too long", ".generations")
        page.wait_for("document.querySelectorAll('.generations details').length === 3")
        page.run("document.querySelector('.generations details').open = true")
        page.wait_for_text("answer to q", ".generations details")
    finally:
        server.stop()
