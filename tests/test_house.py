"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from wfsim.sim.faults import FAULTS

ROOT = Path(__file__).parents[1]

CODE = {"docs", "fake_resources", "flows", "notebooks", "tests", "wfsim"}
HELPERS = {
    *(".ci", ".gitattributes", ".gitignore", "CHANGELOG.md", "DESIGN.md", "LICENSE"),
    *("ARCHITECTURE.md", "CONTRIBUTING.md", "Makefile", "README.md", "pyproject.toml"),
}
HEAVY = {"IPython", "ipywidgets", "matplotlib", "numpy", "pandas", "scipy"}
LINES_PER_FILE = 650  # SimPy's and pluggy's longest files are as long
LINES_PER_FUNCTION = 60

# Put together here, so that this file is not its own first offender.
MACHINE = "|".join(("work", "root", "tmp/venv", r"home/\w+", r"Users/\w+"))
MACHINE_PATH = re.compile(rf"(?<![\w.~/-])/(?:{MACHINE})/")


def files(*patterns: str) -> list[Path]:
    """Every file that is or could be committed, and never none."""
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        [*git, *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = {ROOT / name for name in listed.stdout.split("\0") if name}
    there = sorted(path for path in found if path.is_file())
    assert there, f"git lists no file for {patterns}"
    return there


def shipped() -> list[Path]:
    """The Python files that are held to the limits of size: all but the tests."""
    return files("*.py", ":!tests")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_a_file_is_one_noun_and_none_has_more_than_650_lines():
    lengths = {short(path): len(path.read_text().splitlines()) for path in shipped()}
    assert {path: n for path, n in lengths.items() if n > LINES_PER_FILE} == {}


def test_a_function_has_at_most_60_lines():
    too_long = [
        f"{short(path)}:{function.lineno} {function.name}"
        for path in shipped()
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > LINES_PER_FUNCTION
    ]
    assert too_long == []


def test_a_match_over_faults_or_kinds_ends_in_assert_never():
    closed = {*FAULTS, "Kind", "TargetKind", "RunStatus", "StepStatus", "FlowStatus"}
    open_ended = []
    for path in files("wfsim/*.py"):
        for match in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(match, ast.Match):
                continue
            heads = [node for case in match.cases for node in ast.walk(case.pattern)]
            names = {ast.unparse(node.cls) for node in heads if hasattr(node, "cls")}
            values = [node.value for node in heads if isinstance(node, ast.MatchValue)]
            names |= {ast.unparse(value).partition(".")[0] for value in values}
            last = ast.unparse(match.cases[-1].body[-1])
            if names & closed and "assert_never" not in last:
                open_ended.append(f"{short(path)}:{match.lineno}")
    cure = "add `case _: assert_never(...)`; a match that means only some is an if"
    assert open_ended == [], cure


def test_the_top_of_the_tree_holds_what_is_listed_here_and_nothing_else():
    tops = {path.relative_to(ROOT).parts[0] for path in files()}
    assert tops - CODE - HELPERS == set()
    assert CODE - tops == set()


def test_no_file_names_a_place_on_somebodys_machine():
    offenders = []
    for path in files():
        if path.suffix == ".png":
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if hit := MACHINE_PATH.search(line):
                offenders.append(f"{short(path)}:{number} {hit[0]}")
    assert offenders == []


def test_importing_the_door_leaves_the_heavy_libraries_asleep():
    probe = (
        "import json, sys, time; bare = time.process_time(); import wfsim;"
        "spent = time.process_time() - bare;"
        "print(json.dumps([spent, [name.partition('.')[0] for name in sys.modules]]))"
    )
    command = [sys.executable, "-c", probe]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, awake = json.loads(told.stdout)
    print(f"import wfsim: {seconds:.2f} s of CPU time; the aim is 0.3 s")
    assert HEAVY & set(awake) == set()
    assert "wfsim" in awake
