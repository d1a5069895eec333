"""A cache of replications: what costs nothing, what is new, and what is not trusted."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import wfsim
from fake_resources import polardb
from wfsim.errors import UsageError
from wfsim.study.cache import Fingerprints


class CountedWorld(wfsim.World):
    """Each simulation makes a world of its own, so worlds count simulations."""

    made = 0

    def __init__(self):
        super().__init__()
        CountedWorld.made += 1


@wfsim.step
def Only(context):
    yield from context.sleep(-10.0 * math.log1p(-context.draw("duration")))


def scenario(flows=1, workers=4, steps=(Only,)):
    return wfsim.Scenario(
        [wfsim.Resource("w", f"r{number}") for number in range(flows)],
        wfsim.StateMachine("w")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="F"),
        [wfsim.Flow("F", (wfsim.Step("Only"),))],
        steps,
        world=CountedWorld,
        policy=wfsim.Policy(workers=workers),
    )


@pytest.fixture
def cached(tmp_path):
    """Sweep with a cache; return the study and how many simulations it took."""

    def sweep(make=scenario, over=None, replications=10, **more):
        before = CountedWorld.made
        arguments = {"cache": tmp_path, "progress": False, **more}
        study = wfsim.sweep(make, over, replications=replications, **arguments)
        return study, CountedWorld.made - before

    return sweep


def same(one, two):
    for name in ("points", "runs", "replications"):
        ours, theirs = getattr(one, name), getattr(two, name)
        assert ours.to_csv() == theirs.to_csv()
        assert ours.dtypes.tolist() == theirs.dtypes.tolist()
    return True


def test_a_repeated_study_costs_no_simulation_and_is_the_same(cached):
    over = {"flows": [1, 2]}
    first, simulations = cached(over=over, measure={"last": len})
    again, none = cached(over=over, measure={"last": len})
    assert (simulations, none) == (20, 0)
    assert same(first, again)


def test_a_widened_grid_costs_its_new_points_only(cached):
    cached(over={"flows": [1, 2]})
    study, simulations = cached(over={"flows": [1, 2, 3], "workers": [4]})
    assert simulations == 10
    assert same(
        study,
        wfsim.sweep(scenario, {"flows": [1, 2, 3], "workers": [4]}, replications=10),
    )


def test_more_replications_cost_the_new_ones_only_and_fewer_none(cached):
    cached(replications=10)
    assert cached(replications=25)[1] == 15
    fewer, simulations = cached(replications=7)
    assert simulations == 0
    assert same(fewer, wfsim.sweep(scenario, replications=7))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"faults": [wfsim.CrashAt(t=1, restart_after=1)]},
        {"measure": {"n": lambda log: 1}},
        {"independent": True},
        {"flow": "F"},
        {"make": partial(scenario, workers=1)},
    ],
)
def test_whatever_changes_the_outcome_is_another_cell(cached, change):
    cached()
    assert cached(**change)[1] == 10
    assert cached(**change)[1] == 0


def test_a_step_of_other_code_is_another_cell(cached):
    def of(seconds):
        def Only(context):
            yield from context.sleep(seconds)

        return partial(scenario, steps=(Only,))

    assert cached(of(1.0))[1] == 10
    assert cached(of(2.0))[1] == 10
    assert cached(of(1.0))[1] == 0


STEPS = """
import wfsim
{}
@wfsim.step
class Only:
    def do_step(self, context):
        {}
        yield from context.sleep(SECONDS)


def scenario():
    flow = wfsim.Flow("F", (wfsim.Step("Only"),))
    return wfsim.Scenario.of_flow(flow, steps=[Only])
"""
SWEEP = """
import sys, wfsim
{}
study = wfsim.sweep(steps.scenario, replications=1, cache="cache", progress=False)
print(study.replications["mean"].tolist())
"""


def told(folder, program="import steps"):
    return subprocess.run(
        [sys.executable, "-B", "-c", SWEEP.format(program)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    "imports", [("from numbers_of_steps import SECONDS", ""), ("", "IMPORT")]
)
def test_a_number_that_is_imported_counts_whatever_module_it_is_in(imports, tmp_path):
    above, inside = (
        each.replace("IMPORT", "from numbers_of_steps import SECONDS") for each in imports
    )
    (tmp_path / "steps.py").write_text(STEPS.format(above, inside))
    found = []
    for seconds in (1.0, 2.0):
        (tmp_path / "numbers_of_steps.py").write_text(f"SECONDS = {seconds}\n")
        found.append(told(tmp_path).strip())
    assert found == ["[1.0]", "[2.0]"]
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_file_that_is_changed_while_its_module_is_loaded_spoils_no_cell(tmp_path):
    file = tmp_path / "steps.py"
    file.write_text(STEPS.format("SECONDS = 1.0", ""))
    edited = STEPS.format("SECONDS = 2.0", "")
    program = (
        "import steps\n"
        "wfsim.sweep(steps.scenario, replications=1, cache='cache', progress=False)\n"
        f"open('steps.py', 'w').write({edited!r})\n"
    )
    assert told(tmp_path, program) == "[1.0]\n"
    assert told(tmp_path) == "[2.0]\n"
    again = "import importlib, os, steps\n"
    again += program.replace("2.0", "3.0") + "importlib.reload(steps)\n"
    assert told(tmp_path, again) == "[3.0]\n"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc to count in")
def test_to_read_a_cell_begins_no_thread_that_could_abort_a_process_at_its_end(tmp_path):
    (tmp_path / "steps.py").write_text(STEPS.format("SECONDS = 1.0", ""))
    counting = (
        "import os, steps\n"
        "keep = dict(replications=1, cache='cache', progress=False)\n"
        "wfsim.sweep(steps.scenario, **keep)\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "wfsim.sweep(steps.scenario, **keep)\n"
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    assert told(tmp_path, counting) == "0\n[1.0]\n"


def test_processes_read_and_fill_the_same_cache(cached):
    over = {"replicas": [1, 2]}
    parallel, _ = cached(polardb.scenario, over, 20, jobs=2)
    serial, _ = cached(polardb.scenario, over, 20)
    assert same(parallel, serial)
    assert same(parallel, wfsim.sweep(polardb.scenario, over, replications=20))


def test_a_corrupt_file_is_reported_and_computed_again(cached, tmp_path):
    first, _ = cached()
    (path,) = tmp_path.glob("*/1-10.*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match="is corrupt; replications 1 to 9 are computed"):
        again, simulations = cached()
    assert simulations == 9
    assert same(first, again)
    assert cached()[1] == 0


def test_a_file_that_another_process_takes_away_is_computed_again(cached, tmp_path):
    cached()
    (path,) = tmp_path.glob("*/1-10.*.parquet")
    path.unlink()
    path.symlink_to(tmp_path / "gone")  # It is listed, and not there when it is read.
    assert cached()[1] == 9


def test_a_write_that_was_cut_short_is_not_seen(cached, tmp_path):
    cached()
    (path,) = tmp_path.glob("*/1-10.*.parquet")
    path.rename(path.with_suffix(".part"))
    assert cached()[1] == 9


def test_code_without_a_source_is_refused_until_it_has_a_key(cached):
    names = {}
    exec("def Only(context):\n    yield from context.sleep(1)", names)
    make = partial(scenario, steps=(names["Only"],))
    with pytest.raises(UsageError, match=r"'Only' has no source .*give key="):
        cached(make)
    assert cached(make, key="one")[1] == 10
    assert cached(make, key="one")[1] == 0
    assert cached(make, key="two")[1] == 10


def test_a_value_that_nobody_can_compare_is_refused(cached):
    def of(stream):
        def Only(context):
            yield from context.sleep(next(stream))

        return partial(scenario, steps=(Only,))

    with pytest.raises(UsageError, match="could be anything next time"):
        cached(of(iter([1.0])))


def test_fingerprints_tell_values_apart_but_not_by_their_order():
    of = Fingerprints().of
    assert of(1) != of(1.0) != of(True) != of("1")
    assert of([1, 2]) != of([2, 1])
    assert of({"a": 1, "b": 2}) == of({"b": 2, "a": 1})
    assert of({"a", "b", "c"}) == of({"c", "b", "a"})
    assert of(lambda: 1) != of(lambda: 2)
    assert of(wfsim.Policy(workers=1)) != of(wfsim.Policy(workers=2))
    assert of(polardb.scenario(2)) == Fingerprints().of(polardb.scenario(2))
    assert of(polardb.scenario(2)) != of(polardb.scenario(3))


def test_a_fingerprint_is_the_same_after_a_simulation():
    made = polardb.scenario(2)
    before = Fingerprints().of(made)
    wfsim.simulate(made)
    assert Fingerprints().of(made) == before


def test_what_a_fingerprint_goes_round_in_circles_about_has_an_end():
    circle: list[object] = [1]
    circle.append(circle)
    assert Fingerprints().of(circle) == Fingerprints().of(circle)


def test_another_process_with_another_hash_seed_finds_the_same_cells():
    program = (
        "import wfsim\n"
        "from fake_resources import polardb\n"
        "from wfsim.study.cache import Fingerprints\n"
        "study = wfsim.sweep(polardb.scenario, {'replicas': [1, 2]}, replications=3)\n"
        "print(Fingerprints().of(polardb.scenario(2)), study.digest)\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
