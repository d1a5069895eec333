"""What a run did is a file that one reviews, and that later runs are held to."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import polardb
from fake_resources.zoo import MUTANTS, backup

HELD = """\
orders:
  states:
  - Creating
  - Running
  runs:
    1-Backup:
      status: completed
      steps:
      - step: MakeVolume
        status: completed
        output:
          volume: orders-1-Backup
      - step: CopyData
        status: completed
      - step: Announce
        status: completed
world:
  volumes:
    orders-1-Backup: full
  restored: []
  letters: []
"""


def test_what_a_calm_run_did_is_a_file_that_later_runs_are_held_to(tmp_path):
    file = tmp_path / "expected" / "backup.yaml"
    calm = wfsim.Simulation(backup(), seed=1)
    calm.run()
    calm.expect(file)
    assert file.read_text() == HELD
    other_seed = wfsim.Simulation(backup(), seed=2)
    other_seed.run()
    other_seed.expect(file)


def test_where_no_file_can_be_is_told(tmp_path):
    sim = wfsim.Simulation(backup(), seed=1)
    sim.run()
    (tmp_path / "file").write_text("")
    with pytest.raises(wfsim.UsageError, match=r"cannot be read: .*; give another file"):
        wfsim.testing.expect(sim, tmp_path)
    with pytest.raises(wfsim.UsageError, match=r"cannot be written: .*; give another"):
        wfsim.testing.expect(sim, tmp_path / "file" / "calm.yaml")


def test_what_is_not_as_expected_is_told_by_lines(tmp_path):
    file = tmp_path / "backup.yaml"
    file.write_text(HELD)
    crashed = wfsim.Simulation(
        MUTANTS["creates_again"].subject,
        seed=1,
        faults=[wfsim.CrashAt(write=3, when="before", restart_after=10)],
    )
    crashed.run()
    with pytest.raises(AssertionError, match="the run is not as expected") as told:
        crashed.expect(file)
    assert "+        attempts: 2" in str(told.value)
    assert "-    orders-1-Backup: full" in str(told.value)
    crashed.expect(file, update=True)
    crashed.expect(file)


def test_worlds_of_any_things_are_written_by_what_they_are_made_of(tmp_path):
    file = tmp_path / "cluster.yaml"
    first, second = (wfsim.Simulation(polardb.scenario(0), seed=1) for _ in range(2))
    for sim in (first, second):
        sim.run()
        sim.expect(file)
    text = file.read_text()
    assert "    mpd-0-rw:\n" in text
    assert "object at" not in text
    assert "!!" not in text
