"""Targets of the command line: a scenario or a flow, wherever it comes from."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, assert_never

from wfsim.errors import DefinitionError, WfsimError
from wfsim.files.document import read_document
from wfsim.model.duration import Duration
from wfsim.model.policy import Policy
from wfsim.sim.scenario import Scenario
from wfsim.sim.scenario_loader import installed, is_scenario
from wfsim.text import suggest

PACKAGE = Path(__file__).parents[1]


class TargetKind(StrEnum):
    """Where a target comes from."""

    INSTALLED = "installed scenario"
    PYTHON = "scenario in Python"
    SCENARIO = "scenario file"
    FLOW = "flow file"
    PLAN = "plan of faults"
    FOLDER = "folder"


class Options(NamedTuple):
    """What the command line says of a scenario; None is what the scenario has."""

    replicas: int | None = None
    duration: str | None = None
    failure: float | None = None


NO_OPTIONS = Options()


class Target(NamedTuple):
    """What *text* names; *source* is a path, or in Python a `Scenario` or its maker."""

    text: str
    kind: TargetKind
    source: Any

    def scenario(
        self, options: Options = NO_OPTIONS, *, service: bool = False
    ) -> Scenario:
        """Return its scenario, with *options*; the flows of one file as a *service*.

        Raises `DefinitionError` for an option that it does not take.
        """
        match self.kind:
            case TargetKind.INSTALLED | TargetKind.PYTHON:
                return self._made(options)
            case TargetKind.SCENARIO:
                for name, value in options._asdict().items():
                    if value is not None:
                        text = f"--{name}: write it into the scenario file {self.text}"
                        raise DefinitionError(text)
                return Scenario.load(self.source)
            case TargetKind.PLAN:
                raise DefinitionError(
                    f"{self.text}: a plan of faults, which says what goes wrong and not "
                    "what runs; give it as --faults"
                )
            case TargetKind.FLOW | TargetKind.FOLDER:
                return self._of_flows(options, service)
            case _:
                assert_never(self.kind)

    def _of_flows(self, options: Options, service: bool) -> Scenario:
        if options.replicas is not None:
            what = "flow file" if self.kind is TargetKind.FLOW else "flow files in"
            raise DefinitionError(f"--replicas: the {what} {self.text} has no replicas")
        untimed: dict[str, Any] = {
            "duration": _duration(options.duration),
            "failure": options.failure or 0.0,
        }
        if service or self.kind is TargetKind.FOLDER:
            return Scenario.of_flows(self.source, **untimed)
        return Scenario.of_flow(self.source, policy=Policy(), **untimed)

    def maker(self) -> str | Callable[..., Any]:
        """Return what makes its scenarios for a sweep: a file's name, or a function.

        Raises `DefinitionError` for a folder.
        """
        if self.kind is TargetKind.FOLDER:
            raise DefinitionError(
                f"{self.text}: a folder of flows is a service that nobody asks; write a "
                "scenario file with flows: and arrivals:"
            )
        if self.kind not in (TargetKind.INSTALLED, TargetKind.PYTHON):
            return str(self.source)
        if not isinstance(self.source, Scenario):
            make: Callable[..., Any] = self.source
            return make
        scenario = self.source

        def constant() -> Scenario:
            return scenario

        return constant

    def _made(self, options: Options) -> Scenario:
        for name in ("duration", "failure"):
            if getattr(options, name) is not None:
                raise DefinitionError(
                    f"--{name}: only a flow file has steps without code"
                )
        if isinstance(self.source, Scenario):
            if options.replicas is not None:
                raise DefinitionError(f"--replicas: {self.text} is a scenario as it is")
            return self.source
        keywords = {} if options.replicas is None else {"replicas": options.replicas}
        try:
            inspect.signature(self.source).bind(**keywords)
        except TypeError as error:
            if keywords:
                what = f"the scenario {self.text!r} does not take it"
                raise DefinitionError(f"--replicas: {what}") from None
            raise DefinitionError(
                f"{self.text}: {error}; name a function that makes a scenario by itself"
            ) from None
        try:
            scenario = self.source(**keywords)
        except WfsimError:
            raise
        except Exception as error:
            _blame(self.text, error)
        if not isinstance(scenario, Scenario):
            text = f"it returns {scenario!r}; return a wfsim.Scenario"
            raise DefinitionError(f"{self.text}: {text}")
        return scenario


def find_target(text: str) -> Target:
    """Return what *text* names.

    That is the name of an installed scenario, a file or folder, or ``job.py:scenario``
    or ``package.module:scenario``: a `Scenario`, or a function that returns one.  Raises
    `DefinitionError` with the nearest name for what there is not.
    """
    path = Path(text)
    if path.is_file() and path.suffix != ".py":
        return Target(text, kind_of(path), path)
    module, colon, name = text.rpartition(":")
    if colon and all(part.isidentifier() for part in name.split(".")):
        return Target(text, TargetKind.PYTHON, _in_python(text, module, name))
    if path.suffix == ".py":
        _refuse_missing(path)
        names = f"; name what makes it: {text}:scenario"
        raise DefinitionError(f"{text}: a Python file may have several scenarios{names}")
    entries = installed()
    if text in entries:
        return Target(text, TargetKind.INSTALLED, entries[text].load())
    if path.is_dir():
        return Target(text, TargetKind.FOLDER, path)
    if path.suffix or len(path.parts) > 1:
        _refuse_missing(path)
    raise DefinitionError(
        f"no scenario {text!r}{suggest(text, entries)} (or give a file, a folder, "
        "or job.py:scenario)"
    )


def kind_of(file: Path) -> TargetKind:
    """Return what *file* is by its keys; one that cannot be read is taken for a flow."""
    try:
        document = read_document(file)
    except DefinitionError:
        return TargetKind.FLOW
    if isinstance(document.data, list):
        return TargetKind.PLAN
    return TargetKind.SCENARIO if is_scenario(document) else TargetKind.FLOW


def existing(file: Path | None) -> Path | None:
    """Return *file*; raise `DefinitionError` if there is none."""
    if file is not None:
        _refuse_missing(file)
    return file


def _refuse_missing(path: Path) -> None:
    if path.exists():
        return
    parent = path.parent
    # A file of another kind has another name than was meant.
    siblings = [
        each.name
        for each in (parent.iterdir() if parent.is_dir() else ())
        if each.suffix == path.suffix or each.stem == path.stem
    ]
    near = suggest(path.name, siblings) if siblings else ""
    raise DefinitionError(f"{path}: there is no such file or folder{near}")


def _duration(text: str | None) -> Duration:
    from wfsim.engine.steps import DEFAULT_DURATION
    from wfsim.files.document import parse_document

    if text is None:
        return DEFAULT_DURATION
    try:
        return Duration.parse(parse_document(text, "--duration").data)
    except ValueError as error:
        raise DefinitionError(f"--duration: {error}") from error


def _in_python(text: str, module: str, name: str) -> Any:
    """Return what *name* is in *module*, a file or a module's name, which is imported."""
    if module.endswith(".py"):
        file = Path(module)
        _refuse_missing(file)
        folder, module_name = file.resolve().parent, file.stem
    else:
        folder, module_name = Path.cwd(), module
    # As Python does for a script: what lies beside it can be imported, also by workers.
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        value: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            _blame(text, error)
        raise DefinitionError(f"{text}: there is no module {error.name!r}") from None
    except WfsimError:
        raise
    except Exception as error:
        _blame(text, error)
    if module.endswith(".py"):
        loaded = getattr(value, "__file__", None)
        if loaded is None or not Path(loaded).samefile(module):
            raise DefinitionError(
                f"{text}: another module is called {module_name!r}; rename the file"
            )
    for part in name.split("."):
        if not hasattr(value, part):
            near = suggest(part, [each for each in vars(value) if each[0] != "_"])
            raise DefinitionError(f"{text}: no {part!r} in it{near}")
        value = getattr(value, part)
    if not (isinstance(value, Scenario) or callable(value)):
        raise DefinitionError(
            f"{text}: {value!r} is no scenario; give a wfsim.Scenario, or a function "
            "that returns one"
        )
    return value


def _blame(text: str, error: Exception) -> NoReturn:
    """Raise what the user's own code did wrong, with its innermost line."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if not (PACKAGE in Path(frame.filename).parents or "importlib" in frame.filename)
    ]
    where = f"{theirs[-1].filename}:{theirs[-1].lineno}: " if theirs else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}: "
    raise DefinitionError(f"{text}: {where}{type(error).__name__}: {error}") from error
