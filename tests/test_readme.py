"""The README is what a newcomer runs: so it is run here, block by block."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

import wfsim
from fake_resources import polardb
from tests.sizes import FULL
from wfsim.cli import main as cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", "")
INLINE = re.findall(r"`([^`\n]+)`", README)
COMMANDS = [
    line
    for line in SHELL.splitlines()
    # What serves does not end; what sweeps takes its time.
    if line.startswith(".venv/bin/wfsim ")
    and not line.startswith(".venv/bin/wfsim serve")
    and (FULL or not line.startswith(".venv/bin/wfsim sweep"))
]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_blocks_of_the_readme_run_one_after_the_other():
    names = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert names["log"].fold().resources["mpd-0"].state == "Running"
    assert names["sim"].resource("mpd-0").state == "Interrupt"
    assert names["em"].service.detail("1-CreateCluster").info.status == "Finished"
    assert names["shown"]["info"]["status"] == "Finished"


@pytest.mark.parametrize(
    ("picture", "scenario"),
    [
        ("first_run.png", polardb.scenario(replicas=2)),
        ("nightly.png", wfsim.Scenario.of_flow(ROOT / "flows/backup/nightly.yaml")),
    ],
)
def test_a_picture_is_described_by_the_sentence_of_its_chart(picture, scenario):
    crash = wfsim.CrashAt(t=40, restart_after=10)
    log = wfsim.simulate(scenario, faults=[crash], seed=1)
    (alt,) = re.findall(rf"!\[(.*?)\]\(notebooks/{picture}\)", README)
    assert alt == wfsim.charts.gantt(log).sentence
    assert (ROOT / "notebooks" / picture).read_bytes()[:4] == b"\x89PNG"


def test_the_commands_of_the_readme_go_well_one_after_the_other(
    tmp_path, monkeypatch, capsys
):
    for name in ("flows", "notebooks"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) >= 4
    for line in COMMANDS:
        monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code in (None, 0), (line, capsys.readouterr())


def test_the_flow_that_is_shown_is_the_file_that_is_run():
    (shown,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert shown == (ROOT / "flows/backup/nightly.yaml").read_text(encoding="utf-8")


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\(((?!http)[^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_what_is_to_be_made_and_installed_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    targets = set(re.findall(r"\bmake (\w+)\b", SHELL + " ".join(INLINE)))
    assert {"run", "lab", "test"} <= targets
    assert [name for name in targets if f"\n{name}:" not in makefile] == []
    assert f"`{project['project']['name']}`" in README
    extras = set(re.findall(r"'\.\[([\w,]+)\]'", README))
    known = set(project["project"]["optional-dependencies"])
    assert {name for each in extras for name in each.split(",")} <= known
