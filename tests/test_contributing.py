"""The recipes of CONTRIBUTING.md run, and the lists that they name are whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import wfsim
from fake_resources import polardb
from tests.golden import mishaps
from wfsim.history.read import FORMATS
from wfsim.sim.faults import (
    FAULTS,
    AnyStepFault,
    FailSave,
    RefuseWrite,
    RepeatCall,
    TimedFault,
)
from wfsim.sim.rates import RATES
from wfsim.sim.scenario_schema import RatesItem

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SOURCE = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in ("wfsim", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


AT_A_CALL = (FailSave, RefuseWrite, RepeatCall)  # each is met in one place alone


def sources(folder: str) -> str:
    return "\n".join(text for path, text in SOURCE.items() if path.startswith(folder))


def test_the_blocks_of_the_page_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS:
        exec(compile(block, "CONTRIBUTING.md", "exec"), names)
    assert len(BLOCKS) == 3


def test_every_command_of_make_that_the_page_names_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)", PAGE):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_room_has_a_row_that_says_what_to_run_after_a_change():
    rooms = {path.parent.name for path in (ROOT / "wfsim").glob("*/__init__.py")}
    rows = PAGE.partition("## What to run when")[2].partition("## ")[0]
    assert rooms - {*re.findall(r"`wfsim/(\w+)/", rows)} == set(), "add a row"
    named = re.findall(r"tests/[\w/]+(?:\.py)?", rows)
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_wherever_faults_are_listed(name):
    assert hasattr(wfsim, name), "add it to wfsim/__init__.py"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"`{name}`" in readme, "add it to the faults in README.md"
    assert re.search(rf"\b{name}\(", sources("tests/sim/test_faults.py")), "test it"
    called = name if name != "RefuseWrite" else "Conflict"  # as older checkouts say
    assert any(key.startswith(called) for key in mishaps.FAULTS), "add it to mishaps.py"
    matched = (*get_args(AnyStepFault), *get_args(TimedFault), *AT_A_CALL)
    assert FAULTS[name] in matched, "add it to AnyStepFault or TimedFault"


def test_a_rate_is_wherever_rates_are_listed():
    assert tuple(RatesItem.model_fields) == RATES, "add it to RatesItem"
    tests = sources("tests/sim/test_rates.py")
    assert [name for name in RATES if f'"{name}"' not in tests] == []


def test_every_kind_of_record_is_written_by_something():
    writers = "".join(
        text for path, text in SOURCE.items()
        if path.startswith(("wfsim/model", "wfsim/engine", "wfsim/sim"))
        and path != "wfsim/model/record.py"
    )  # fmt: skip
    spoken = writers + SOURCE["wfsim/model/record.py"].partition("class PoolState")[2]
    assert [kind for kind in wfsim.Kind if f"Kind.{kind.name}" not in spoken] == []


def test_every_chart_has_a_test():
    tests = sources("tests/report") + sources("tests/history") + sources("tests/study")
    missing = [name for name in wfsim.charts.__all__ if f"{name}(" not in tests]
    assert missing == [], "assert its sentence in tests/report"


@pytest.mark.parametrize("name", wfsim.tables.__all__)
def test_the_docstring_of_a_table_names_its_columns(name):
    table = getattr(wfsim.tables, name)
    log = wfsim.simulate(polardb.scenario(replicas=1), seed=1)
    columns = re.findall(r"^ *((?:``\w+``,? *)+)", table.__doc__, re.M)
    named = {word for line in columns for word in re.findall(r"``(\w+)``", line)}
    of_a_record = (-1,) if name == "lineage" else ()
    assert {*table(log, *of_a_record).columns} <= named, (
        f"say in tables.{name} what they are"
    )


def test_a_history_format_is_described_by_the_call_that_reads_it():
    described = re.findall(r"^ *``(\w+)``", wfsim.read_history.__doc__, re.M)
    assert sorted(described) == sorted(FORMATS)
