"""The wheel, alone in a fresh environment, does the main job as the checkout does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JOB = "run polardb --replicas 2 --crash-at 40 --restart-after 10 --seed 1"


def call(*command: str | Path, cwd: Path) -> str:
    """Return what *command* prints; what went wrong, if it did, is the failure's text."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive, as a release is."""
    dist = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, cwd=ROOT)
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that holds the wheel and what it asks for."""
    environment = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", environment, cwd=environment)
    quick = ("--quiet", "--disable-pip-version-check", "--no-compile")
    pip = environment / "bin" / "python", "-m", "pip", "install", *quick
    call(*pip, wheel, cwd=environment)
    return environment / "bin"


def test_the_wheel_holds_two_packages_their_types_and_the_flows(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"wfsim", "fake_resources"}
    assert {"wfsim/py.typed", "fake_resources/py.typed"} <= set(names)
    shipped = {name for name in names if name.startswith("fake_resources/flows/")}
    flows = (path for path in (ROOT / "flows").rglob("*") if path.is_file())
    assert shipped == {
        f"fake_resources/{path.relative_to(ROOT).as_posix()}" for path in flows
    }


def test_the_main_job_leaves_a_log_and_a_report(fresh: Path, tmp_path: Path) -> None:
    call(fresh / "wfsim", *JOB.split(), cwd=tmp_path)
    log = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    assert len(log) > 10
    assert all(isinstance(json.loads(line), dict) for line in log)
    report = (tmp_path / "out" / "report.html").read_text()
    assert report.lstrip().lower().startswith("<!doctype html")


def test_the_wheel_and_the_checkout_write_the_same_log(
    fresh: Path, tmp_path: Path
) -> None:
    logs = []
    for place, bin_ in (("wheel", fresh), ("checkout", Path(sys.executable).parent)):
        (tmp_path / place).mkdir()
        call(bin_ / "wfsim", *JOB.split(), cwd=tmp_path / place)
        logs.append((tmp_path / place / "out" / "log.jsonl").read_bytes())
    assert logs[0] == logs[1]
