"""Make `shared_workflow.txt`, the history that `12_calibrate.ipynb` begins with.

It is what the reference engine's recorder would have written while forty clusters were
created: some pods fail, the controller dies twice, one creation is cancelled, and one
cancel comes too late.
"""

from __future__ import annotations

from pathlib import Path

import wfsim
from fake_resources import polardb

FILE = Path(__file__).with_name("shared_workflow.txt")


def make(path: Path) -> Path:
    """Write the history to *path*; it is the same every time."""
    scenario = polardb.scenario(replicas=2, clusters=40, pod_failure=0.06)
    faults = [
        wfsim.CrashAt(t=130, restart_after=20),
        wfsim.CrashAt(t=410, restart_after=60),
        wfsim.CancelAt(t=100, resource="mpd-3"),
        wfsim.CancelAt(t=250, resource="mpd-17"),
    ]
    log = wfsim.simulate(scenario, faults, seed=11)
    return wfsim.export.to_history(log, path)


if __name__ == "__main__":
    make(FILE)
