"""The command ``wfsim new``: a project of one's own, which passes its own tests."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from wfsim.errors import DefinitionError, UsageError

ENDING = ".tmpl"
"""Of each template: nothing that checks or runs Python takes one for code of wfsim."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
ROOT = PurePosixPath()
_FOLDERS = {"ci": ".github/workflows"}
_FILES = {"gitignore": ".gitignore"}


def new(
    name: Annotated[
        str, typer.Argument(help="The project and its folder: letters, digits, - and _.")
    ],
) -> None:
    """Write a project: a flow, its steps, a fake, a scenario, a notebook, tests, CI."""
    folder = Path(name)
    written = write_project(folder)
    for path in written:
        typer.echo(path)
    typer.echo(f"Next: cd {name}; python -m pytest; see README.md")


def write_project(folder: Path) -> list[Path]:
    """Write the project called as *folder* is, and return its files.

    Raises `DefinitionError` for a name that can be no package of Python, `UsageError` if
    there is something in *folder*.
    """
    name = folder.name
    package = name.replace("-", "_").lower()
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise DefinitionError(
            f"{name!r} can be no project; give letters, digits, - and _, a letter first"
        )
    if package in ("flows", "notebooks", "tests") or _is_taken(package):
        raise DefinitionError(
            f"{name!r}: there is a package {package!r} already; give another name"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; give another name")
    written, requirement = [], _requirement()
    for template, text in _templates(files("wfsim.cli") / "project"):
        path = folder / _renamed(template, package)
        path.parent.mkdir(parents=True, exist_ok=True)
        filled = text.replace("{{name}}", name).replace("{{package}}", package)
        filled = filled.replace("{{requirement}}", requirement)
        path.write_text(filled, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def _requirement() -> str:
    """Return what ``pip install`` gets the wfsim from that runs here (PEP 610)."""
    name = "wfsim-lab"
    try:
        origin = json.loads(distribution(name).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:  # wfsim is on the path, and not installed
        return name
    url, commit = origin.get("url"), origin.get("vcs_info", {})
    if not url:
        return name
    if commit:
        return f"{name} @ {commit['vcs']}+{url}@{commit['commit_id']}"
    return (
        "# Installed from this machine: give CI an address that it reaches, such as\n"
        "# wfsim-lab @ git+https://HOST/wfsim.git\n"
        f"{name} @ {url}"
    )


def _is_taken(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # a module that was made by hand
        return True


def _templates(
    folder: Traversable, path: PurePosixPath = ROOT
) -> Iterator[tuple[PurePosixPath, str]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _templates(item, path / item.name)
        elif item.name.endswith(ENDING):
            name = item.name.removesuffix(ENDING)
            yield path / name, item.read_text(encoding="utf-8")


def _renamed(path: PurePosixPath, package: str) -> PurePosixPath:
    first, *rest = path.parts
    if not rest:
        return PurePosixPath(_FILES.get(first, first))
    return PurePosixPath(
        _FOLDERS.get(first, package if first == "package" else first), *rest
    )
