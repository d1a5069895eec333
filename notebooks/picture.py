"""Draw the picture of the README: the Gantt chart of the main job."""

from __future__ import annotations

import re
from pathlib import Path

import wfsim
from fake_resources import polardb

ROOT = Path(__file__).parent.parent


def draw() -> None:
    crash = wfsim.CrashAt(t=40, restart_after=10)
    log = wfsim.simulate(polardb.scenario(replicas=2), faults=[crash], seed=1)
    chart = wfsim.charts.gantt(log)
    chart.save(ROOT / "notebooks/first_run.png")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"!\[.*?\]\(notebooks", f"![{chart.sentence}](notebooks", text)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    draw()
