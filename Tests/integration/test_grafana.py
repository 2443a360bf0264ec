"""The Grafana dashboard and the scrape configuration against what a real daemon prints."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml
from conftest import wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "grafana"


@pytest.fixture(scope="module")
def dashboard():
    """The dashboard as Grafana imports it."""
    return json.loads((FOLDER / "anneal.json").read_text())


def queries(dashboard):
    """Every PromQL text of the dashboard, with its place."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


def test_a_daemon_prints_every_metric_and_label_that_the_dashboard_asks_for(dashboard, make_daemon, tmp_path):
    # Simulated GPUs tell of memory errors only where they are made to have some.
    facts = tmp_path / "gpus.json"
    facts.write_text(json.dumps({"gpus": [{"index": 0, "ecc_uncorrected": 0}]}))
    daemon = make_daemon("--gpus", "sim:2", ANNEAL_SIM_GPUS_FILE=str(facts)).start()
    text = wait_until(lambda: "anneal_gpu_utilization_ratio{" in (page := daemon.get("/metrics").body.decode()) and page, "a sample of the GPUs")
    samples = re.findall(r"^([a-z_0-9]+)(?:\{(.*)\})? ", text, re.MULTILINE)
    printed = {name: set(re.findall(r'(\w+)="', labels)) for name, labels in samples}
    asked = 0
    for place, query in queries(dashboard):
        for name, selectors in re.findall(r"\b((?:anneal|ray)_[a-z_0-9]+)(?:\{([^}]*)\})?", query):
            assert name in printed, f"{place} asks for {name}"
            wanted = set(re.findall(r"(\w+)=", selectors)) - {"instance"}
            assert wanted <= printed[name], f"{place} asks for labels that {name} lacks"
            asked += 1
    assert asked > 30


def test_panels_have_their_own_places_and_take_the_chosen_data_source(dashboard):
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        sources = [panel.get("datasource"), *(target["datasource"] for target in panel.get("targets", []))]
        assert panel["type"] == "row" or all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert dashboard["templating"]["list"][0] | {"current": {}} == dashboard["templating"]["list"][0]


def test_the_scrape_example_reads_what_the_daemon_serves(daemon):
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    answer = daemon.get(job.get("metrics_path", "/metrics"))
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_promtool_takes_the_scrape_example(tmp_path, dashboard):
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("no promtool: install Debian's 'prometheus'")
    subprocess.run([tool, "check", "config", FOLDER / "prometheus.yml"], check=True, capture_output=True)
    # A recording rule for each query, so that the tool reads them.
    known = [("$__rate_interval", "1m"), ("$instance", ".*"), ("$gpu", ".*")]
    rules = []
    for _, query in queries(dashboard):
        for variable, value in known:
            query = query.replace(variable, value)
        if not query.startswith("label_values"):
            rules.append({"record": f"asked:number_{len(rules)}", "expr": query})
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    subprocess.run([tool, "check", "rules", path], check=True, capture_output=True)
