"""The command ``wfsim new``: the project that it writes passes its own tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wfsim
from wfsim.cli import main as cli
from wfsim.cli.new import write_project

ROOT = Path(__file__).parents[1]
HERE = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def run(folder, *words):
    """What `python -m WORDS` says in *folder*; it must go well."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": HERE, "PYTHONHASHSEED": "0"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project that was just written."""
    folder = tmp_path_factory.mktemp("new") / "my-fleet"
    write_project(folder)
    return folder


def test_it_has_a_flow_steps_a_fake_a_scenario_a_notebook_tests_and_ci(tmp_path):
    written = write_project(tmp_path / "My-Fleet")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written) == [
        "My-Fleet/.github/workflows/test.yml",
        "My-Fleet/.gitignore",
        "My-Fleet/README.md",
        "My-Fleet/flows/upgrade_fleet.yaml",
        "My-Fleet/my_fleet/__init__.py",
        "My-Fleet/my_fleet/fleet.py",
        "My-Fleet/my_fleet/scenario.py",
        "My-Fleet/my_fleet/steps.py",
        "My-Fleet/notebooks/conftest.py",
        "My-Fleet/notebooks/upgrade.ipynb",
        "My-Fleet/pytest.ini",
        "My-Fleet/requirements.txt",
        "My-Fleet/tests/golden/test_upgrade/"
        "test_it_does_what_it_did_when_somebody_last_looked.jsonl",
        "My-Fleet/tests/test_upgrade.py",
    ]
    assert [path for path in written if "{{" in path.read_text()] == []


def test_its_tests_pass(project):
    said = run(project, "pytest", "-q", "-p", "no:cacheprovider")
    assert "6 passed" in said


def test_its_notebook_says_what_is_saved_in_it(project):
    words = ("--nbval", "-p", "no:cacheprovider", "notebooks")
    assert "4 passed" in run(project, "pytest", "-q", *words)


def test_its_scenario_runs_and_is_checked_from_the_command_line(project):
    target = "my_fleet.scenario:scenario"
    said = run(project, "wfsim.cli", "run", target, "--crash-at", "30")
    assert "web is Running." in said
    assert (project / "out/report.html").exists()
    said = run(project, "wfsim.cli", "check", target, "flows/upgrade_fleet.yaml")
    assert said.startswith(f"{target}: my-fleet, 1 flow, 1 resource\n")


def test_its_code_is_as_a_formatter_leaves_it(project):
    width = ("--isolated", "--config", "line-length=90")
    rules = ("--select", "E,F,I,UP", "--per-file-ignores", "*.ipynb:E402")
    run(project, "ruff", "check", *width, *rules, ".")
    run(project, "ruff", "format", "--check", *width, ".")


class Installed:
    """A distribution that was installed from *origin* (PEP 610)."""

    def __init__(self, origin):
        self.origin = origin

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.origin and json.dumps(self.origin)


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "wfsim-lab"),
        ({"url": "file:///src/wfsim", "dir_info": {}}, "wfsim-lab @ file:///src/wfsim"),
        (
            {
                "url": "https://host/wfsim.git",
                "vcs_info": {"vcs": "git", "commit_id": "0f1e2d"},
            },
            "wfsim-lab @ git+https://host/wfsim.git@0f1e2d",
        ),
    ],
)
def test_it_requires_the_wfsim_that_wrote_it(tmp_path, monkeypatch, origin, line):
    monkeypatch.setattr("wfsim.cli.new.distribution", lambda name: Installed(origin))
    write_project(tmp_path / "mine")
    lines = (tmp_path / "mine/requirements.txt").read_text().splitlines()
    required = [each for each in lines if not each.startswith("#")]
    assert required == [line, "ipykernel", "nbclient", "nbval", "pytest"]
    assert (len(lines) > len(required)) == line.endswith("/src/wfsim")


@pytest.mark.parametrize("name", ["1st", "a b", "class", "json", "wfsim", "flows", "a.b"])
def test_a_name_that_can_be_no_package_of_its_own_is_refused(tmp_path, name):
    with pytest.raises(wfsim.DefinitionError, match="give "):
        write_project(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["wfsim", "new", "mine"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    text = "wfsim: mine is there already; give another name\n"
    assert capsys.readouterr() == ("", text)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
