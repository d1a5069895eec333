"""Draw the pictures of the README, and describe each by the sentence of its chart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import wfsim
from fake_resources import polardb

ROOT = Path(__file__).parent.parent
CRASH = wfsim.CrashAt(t=40, restart_after=10)


def pictures() -> Iterator[tuple[str, wfsim.Scenario]]:
    """Yield each picture: the name of its file, and whose Gantt chart it is."""
    yield "first_run.png", polardb.scenario(replicas=2)
    yield "nightly.png", wfsim.Scenario.of_flow(ROOT / "flows/backup/nightly.yaml")


def draw() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for name, scenario in pictures():
        chart = wfsim.charts.gantt(wfsim.simulate(scenario, faults=[CRASH], seed=1))
        chart.save(ROOT / "notebooks" / name)
        link = f"](notebooks/{name})"
        text = re.sub(rf"!\[.*?{re.escape(link)}", f"![{chart.sentence}{link}", text)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    draw()
