"""The wheel, alone in a fresh environment, does the main job as the checkout does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


def required(of: Distribution, known: set[str]) -> Iterator[Distribution]:
    """Yield what *of* requires without an extra, and what that does, each once."""
    for text in of.requires or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if not wanted or requirement.name.lower() in known:
            continue
        known.add(requirement.name.lower())
        version = distribution(requirement.name)
        assert requirement.specifier.contains(version.version, prereleases=True)
        yield version
        yield from required(version, known)


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that holds the wheel and what it asks for.

    The latter is linked to what is installed here: to unpack it again takes a minute.
    """
    environment = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
    python = environment / "bin" / "python"
    pip = sys.executable, "-m", "pip", "--python", python, "install"
    quick = "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"
    call(*pip, *quick, wheel, cwd=environment)
    (packages,) = environment.glob("lib/python*/site-packages")
    (metadata,) = packages.glob("*.dist-info")
    for each in required(Distribution.at(metadata), set()):
        for top in {file.parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(each.locate_file(top))))
    return environment / "bin"


@pytest.fixture(scope="module")
def out(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the main job has left, run by the wheel."""
    folder = tmp_path_factory.mktemp("job")
    call(fresh / "wfsim", *JOB.split(), cwd=folder)
    return folder / "out"


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


def test_what_is_not_asked_for_is_not_there(fresh: Path) -> None:
    probe = "import importlib.util as it; print(it.find_spec('pandas') is not None, "
    probe += "it.find_spec('fastapi'), it.find_spec('pytest'))"
    assert call(fresh / "python", "-c", probe, cwd=fresh) == "True None None\n"


def test_the_main_job_leaves_a_log_and_a_report(out: Path) -> None:
    log = (out / "log.jsonl").read_text().splitlines()
    assert len(log) > 10
    assert all(isinstance(json.loads(line), dict) for line in log)
    report = (out / "report.html").read_text()
    assert report.lstrip().lower().startswith("<!doctype html")


def test_the_wheel_and_the_checkout_write_the_same_log(out: Path, tmp_path: Path) -> None:
    call(Path(sys.executable).parent / "wfsim", *JOB.split(), cwd=tmp_path)
    assert (tmp_path / "out/log.jsonl").read_bytes() == (out / "log.jsonl").read_bytes()
