"""A sweep on a cluster: a worker dies in the middle, and nothing is lost or changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.study import on_dask

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the program found out; it runs once."""
    folder = str(tmp_path_factory.mktemp("dask"))
    command = [sys.executable, "-m", "tests.study.on_dask", folder]
    told = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_a_sweep_on_two_workers_survives_the_death_of_one(found):
    total = 2 * on_dask.REPLICATIONS
    assert found["killed"] in found["workers"]
    assert found["here"] <= 1  # the first one shows how many make a task
    assert found["at work"] > total  # what was under way was done again
    assert found["replications"] == total


def test_what_a_cluster_gives_is_what_one_process_gives_bit_by_bit(found):
    on_cluster, serially = found["digests"]
    assert on_cluster == serially


def test_a_task_of_which_workers_die_is_given_up_and_not_waited_for(found):
    assert found["given up"].startswith("workers of the cluster died one after the other")
