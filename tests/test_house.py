"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
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

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
OF_PYTHON = {"_asdict", "_fields", "_getframe", "_make", "_replace"}
PRIVATE_OF_ANOTHER = {
    "wfsim/sim/clock.py",  # SimPy's: nothing else throws into a process or holds one
    "wfsim/sim/world_text.py",  # the other half of `World`, loaded when there is a file
}

ROOMS = ["cli", "engine", "files", "history", "http", "model", "sim", "testing"]
VAGUE = {"asked", "found", "got", "kept", "made", "past", "said", "told", "way"}

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


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines *function* has beside its docstring."""
    whole = (function.end_lineno or 0) - function.lineno + 1
    text = function.body[0]
    if ast.get_docstring(function) is None:
        return whole
    return whole - ((text.end_lineno or 0) - text.lineno + 1)


def test_a_function_has_at_most_60_lines_beside_its_docstring():
    too_long = [
        f"{short(path)}:{function.lineno} {function.name}"
        for path in shipped()
        for function in functions(path)
        if lines_of(function) > LINES_PER_FUNCTION
    ]
    assert too_long == []


def test_the_first_line_of_a_docstring_is_an_imperative_or_a_noun_phrase():
    indirect = []
    for path in files("wfsim/*.py", "fake_resources/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, DOCUMENTED):
                continue
            first = (ast.get_docstring(node) or "").partition("\n")[0]
            if re.match(r"(Let|Have|Take it|Take note)\b", first):
                indirect.append(f"{short(path)}: {first}")
    assert indirect == [], "say what it does or is: Continue, Set, Note, Expire ..."


def test_the_title_of_a_module_is_a_noun_phrase_and_no_question():
    questions = []
    for path in files("wfsim/*.py", "fake_resources/*.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        title = text.partition("\n")[0]
        if re.match(r"(What(?! if)|How|Whether|Who|Where|When|Which|Why)\b", title):
            questions.append(f"{short(path)}: {title}")
    assert questions == [], "begin with the noun that the file is named after"


def test_a_local_name_says_what_a_value_is_and_not_that_it_was_got():
    vague = []
    for path in files(*(f"wfsim/{room}/*.py" for room in ROOMS)):
        for node in chain.from_iterable(map(ast.walk, functions(path))):
            name = node.arg if isinstance(node, ast.arg) else ""
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            if name in VAGUE:
                vague.append(f"{short(path)}:{node.lineno} {name}")
    assert vague == [], "say what it is: a run, the flows by name, a location"


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


def test_a_private_name_is_used_in_its_own_file_alone():
    strangers = []
    for path in files("wfsim/*.py"):
        if short(path) in PRIVATE_OF_ANOTHER:
            continue
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        used = [node for node in tree if isinstance(node, ast.Attribute)]
        ours = {node.attr for node in used if ast.unparse(node.value) in ("self", "cls")}
        ours |= {function.name for function in functions(path)} | OF_PYTHON
        strangers += [
            f"{short(path)}:{node.lineno} {ast.unparse(node)}"
            for node in used
            if re.match(r"_[a-z]", node.attr) and node.attr not in ours
        ]
    assert strangers == [], "give the other object a method that does it"


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
