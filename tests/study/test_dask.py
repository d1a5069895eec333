"""A sweep on a cluster: a worker dies in the middle, and nothing is lost or changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.study import on_dask

ROOT = Path(__file__).parents[2]


def test_a_sweep_on_two_workers_survives_the_death_of_one(tmp_path):
    command = [sys.executable, "-m", "tests.study.on_dask", str(tmp_path)]
    told = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    total = 2 * on_dask.REPLICATIONS
    [(victim, begun)] = found["killed"]
    assert victim in found["workers"]
    assert on_dask.MANY <= begun < total
    assert found["here"] not in found["at work"]  # it was the workers that worked
    assert found["replications"] == total
    on_cluster, serially = found["digests"]
    assert on_cluster == serially
