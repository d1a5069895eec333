"""A sweep on Ray, where that is installed: a worker dies, Ctrl-C, an error of a worker.

``make ray-test`` runs it in an environment of its own: Ray alone is larger than all else
that is tested with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.study import on_dask, on_ray

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed; make ray-test does it"
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the program found out; it runs once."""
    folder = str(tmp_path_factory.mktemp("ray"))
    told = subprocess.run(
        [sys.executable, "-m", "tests.study.on_ray", folder],
        cwd=ROOT,
        # Ray writes a token into the home, and tells its maker that it is used.
        env={**os.environ, "HOME": folder, "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout.splitlines()[-1])


def test_a_sweep_on_ray_survives_the_death_of_a_worker(found):
    total = 2 * on_dask.REPLICATIONS
    assert found["here"] == 1  # it shows how many make a task
    assert found["workers"] >= 2
    assert found["killed"] > 0
    assert found["at work"] > total  # what was under way was done again
    assert found["replications"] == total


def test_what_ray_gives_is_what_one_process_gives_bit_by_bit(found):
    on_cluster, serially = found["digests"]
    assert on_cluster == serially


def test_ctrl_c_keeps_what_ray_has_handed_over(found):
    assert found["interrupted"]
    assert 1 < found["kept"] < on_ray.MANY


def test_an_error_on_ray_is_that_of_the_worker_with_its_notes(found):
    kind, said, note = found["refused"]
    assert kind == "UsageError"
    assert said == "measure: 'records' is 'a text'; give a number"
    assert note.startswith("in replication ")
    assert note.endswith("does it again")


def test_a_task_of_which_workers_of_ray_die_is_given_up(found):
    assert found["given up"].startswith("workers of the cluster died one after the other")
