"""Draws the graphs of the dashboards from a running Prometheus: draw.py URL NAMESPACE MINUTES FOLDER.

Needs matplotlib (pip install matplotlib==3.11.2). One SVG for each dashboard, with the expressions, titles and units of its panels."""

import json
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lanyard", "font.size": 8, "font.family": "sans-serif"})
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter, PercentFormatter  # noqa: E402

BOARDS = Path(__file__).parents[2] / "charts/lanyard/files/dashboards"
STEP = 10


def ask(url, expression, minutes):
    end = int(time.time())
    query = urllib.parse.urlencode({"query": expression, "start": end - 60 * minutes, "end": end, "step": STEP})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{query}") as answer:
        return end, json.load(answer)["data"]["result"]


def legend(template, labels):
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template


def size(value, _):
    for unit in ["B", "KiB", "MiB", "GiB"]:
        if abs(value) < 1024 or unit == "GiB":
            return f"{value:.3g} {unit}"
        value /= 1024


def formatter(unit):
    words = {"cps": "/s", "wps": " writes/s", "rps": " reads/s", "s": " s"}
    if unit == "percentunit":
        return PercentFormatter(1, decimals=0)
    if unit == "bytes":
        return FuncFormatter(size)
    return FuncFormatter(lambda value, _: f"{value:.3g}{words.get(unit, '')}")


def draw(axes, panel, url, namespace, minutes):
    values = {"$__rate_interval": "1m", "$__range": f"{minutes}m", "$namespace": namespace, "$device": ".*"}
    names = 0
    for target in panel["targets"]:
        expression = target["expr"]
        for name, value in values.items():
            expression = expression.replace(name, value)
        end, result = ask(url, expression, minutes)
        for series in result:
            points = [((float(at) - end) / 60, float(value)) for at, value in series["values"] if value != "NaN"]
            axes.plot(*zip(*points), linewidth=1, label=legend(target["legendFormat"], series["metric"]))
            names += 1
    defaults = panel["fieldConfig"]["defaults"]
    axes.set_title(panel["title"], fontsize=9, loc="left", fontweight="bold")
    axes.yaxis.set_major_formatter(formatter(defaults["unit"]))
    axes.set_xlim(-minutes, 0)
    axes.set_ylim(bottom=0, top=1.05 if defaults.get("max") == 1 else None)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if names:
        axes.legend(fontsize=6, loc="upper left", bbox_to_anchor=(0, -0.1), ncols=2, frameon=False)


def main():
    url, namespace, minutes, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    for file in sorted(BOARDS.glob("*.json")):
        panels = [panel for panel in json.loads(file.read_text())["panels"] if panel["type"] == "timeseries"]
        rows = -(-len(panels) // 3)
        figure, axes = pyplot.subplots(rows, 3, figsize=(13, 2.9 * rows), layout="constrained")
        for place, panel in zip(axes.flat, panels):
            draw(place, panel, url, namespace, minutes)
        for place in axes.flat[len(panels):]:
            place.set_visible(False)
        figure.supxlabel("minutes", fontsize=8)
        figure.savefig(folder / f"{file.stem}.svg", metadata={"Date": None})
        pyplot.close(figure)


main()
