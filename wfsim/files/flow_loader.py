"""Flows from a folder of YAML files, one folder per type of resource.

A file ``*_step_group.yaml`` holds a group of steps, every other ``*.yaml`` a flow;
folders inside are not looked at.  As in the reference, a step whose class is the name
of a group is replaced by the steps of that group, and so on in turn.  A flow with edges
has no groups: order is what a group adds, and what edges do without.

Whatever is wrong is refused here, all of it at once, rather than by a run at night.
Nothing but the standard library is imported before something is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.errors import DefinitionError, Problem
from wfsim.model.flow import Flow, Source, Step, wrong_edges
from wfsim.model.policy import Retry
from wfsim.text import suggest

if TYPE_CHECKING:
    from wfsim.files.document import Document
    from wfsim.files.flow_schema import FlowFile, StepItem

GROUP_ENDING = "_step_group.yaml"
MAX_STEPS = 10_000


def load_flows(
    folder: str | os.PathLike[str], *, classes: Collection[str] | None = None
) -> dict[str, Flow]:
    """Return the flows in *folder* by name, in the order of their files.

    With *classes*, every step without a duration or failure of its own must name one
    of them, with or without its package.  Raises `DefinitionError`.
    """
    files = [_read(path) for path in _paths(Path(folder))]
    groups = [file for file in files if file.is_group]
    flows = [file for file in files if not file.is_group]
    if not flows:
        inside = ", ".join(map(str, folders_of_files(Path(folder))))
        cure = "write one into a file that ends in .yaml"
        cure = f"give one of its folders: {inside}" if inside and not groups else cure
        problem = Problem("holds no flow", cure, file=str(folder), line=1)
        files.append(_File(str(folder), [problem]))
    _refuse_repeated(flows, "flow")
    expand = _Expansion(groups, classes)
    expanded = [expand(file) for file in flows]
    _refuse_problems(files)
    return {
        file.name: file.flow(steps) for file, steps in zip(flows, expanded, strict=True)
    }


def load_flow(
    file: str | os.PathLike[str], *, classes: Collection[str] | None = None
) -> Flow:
    """Return the flow in *file*, which may use the groups in the same folder.

    As `load_flows`, but the other flows of the folder and the groups that this one
    does not use may be wrong.
    """
    path = Path(file)
    if path.name.endswith(GROUP_ENDING):
        text, cure = "is a step group", "give the file of a flow"
        raise DefinitionError(Problem(text, cure, file=str(path), line=1))
    this = _read(path)
    # Unlike Path.is_file, this one never raises.
    near = path.parent.glob(f"*{GROUP_ENDING}") if os.path.isfile(path) else ()
    groups = [_read(each) for each in sorted(near) if os.path.isfile(each)]
    expand = _Expansion(groups, classes)
    steps = expand(this)
    # A group whose name cannot be read may well be one that is used.
    used = expand.used_by(this) | {""}
    _refuse_problems([this, *(group for group in groups if group.name in used)])
    return this.flow(steps)


def flow_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of flow and group files, for editors."""
    from wfsim.files.flow_schema import flow_schema as schema

    return schema()


def _paths(folder: Path) -> list[Path]:
    """Return the files of *folder* that hold flows and groups, in name order."""
    try:
        # A link that leads nowhere is no file, but somebody meant it to be one.
        files = sorted(p for p in folder.iterdir() if p.is_file() or p.is_symlink())
        # The reference passes over .yml in silence; here it is read, and refused.
        return [path for path in files if path.suffix.lower() in (".yaml", ".yml")]
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        text, cure = f"cannot be read: {why}", "give the folder of the flow files"
        raise DefinitionError(Problem(text, cure, file=str(folder), line=1)) from None


def folders_of_files(folder: Path) -> list[Path]:
    """Return the folders in *folder* that have YAML files, directly or further down."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.is_symlink() and any(path.rglob("*.yaml"))
    ]


class _Item(NamedTuple):
    """One item of ``steps`` and where it stands."""

    document: Document
    number: int
    step: StepItem

    @property
    def source(self) -> Source:
        return Source(self.document.name, self.document.line_of(("steps", self.number)))

    def problem(self, text: str, key: str = "") -> Problem:
        return self.document.problem(("steps", self.number, key), text)


@dataclass
class _File:
    """What one file defines, as far as it can be read, and what is wrong with it."""

    path: str
    problems: list[Problem]
    name: str = ""
    line: int = 1
    items: tuple[_Item, ...] = ()
    whole: bool = False
    content: FlowFile | None = None

    @property
    def is_group(self) -> bool:
        return self.path.endswith(GROUP_ENDING)

    def problem(self, text: str, cure: str = "", line: int = 1) -> Problem:
        return Problem(text, cure, file=self.path, line=line)

    def flow(self, steps: tuple[Step, ...]) -> Flow:
        assert self.content is not None, "a file without a problem has its content"
        return Flow(
            self.name,
            steps,
            self.content.recover_from_first_step,
            self.content.retry and Retry(**self.content.retry.given()),
            self.content.timeout,
            self.content.deadline,
            self.content.biz_type,
            Source(self.path, self.line),
            draws=self.content.draws,
            deadline_from=self.content.deadline_from,
        )


def _read(path: Path) -> _File:
    from wfsim.files.document import read_document
    from wfsim.files.flow_schema import FlowFile, GroupFile
    from wfsim.files.validation import validated

    file = _File(str(path), [])
    if path.suffix != ".yaml":
        text = "the reference engine skips this file"
        file.problems.append(file.problem(text, f"rename it to {path.stem}.yaml"))
        return file
    try:
        document = read_document(path)
    except DefinitionError as error:
        file.problems += error.problems
        return file
    key = "groupName" if file.is_group else "flowName"
    if _is_misplaced_group(file, document.data):
        text = f"is a step group; rename the file to {path.stem}{GROUP_ENDING}"
        file.problems.append(document.problem(("groupName",), text))
        return file
    if isinstance(document.data, dict):
        name = document.data.get(key)
        file.name = name if isinstance(name, str) else ""
        file.line = document.line_of((key,))
        steps = document.data.get("steps")
        file.items = _items(document, steps if isinstance(steps, list) else [])
        file.whole = isinstance(steps, list) and len(file.items) == len(steps)
    try:
        content = validated(GroupFile if file.is_group else FlowFile, document)
        file.content = content if isinstance(content, FlowFile) else None
    except DefinitionError as error:
        file.problems += error.problems
    return file


def _is_misplaced_group(file: _File, data: Any) -> bool:
    named = isinstance(data, dict) and "groupName" in data and "flowName" not in data
    return named and not file.is_group


def _items(document: Document, steps: list[Any]) -> tuple[_Item, ...]:
    """Return the steps that are well formed: one bad step does not hide the others."""
    from pydantic import ValidationError

    from wfsim.files.flow_schema import StepItem

    problems = []
    for number, step in enumerate(steps):
        try:
            problems.append(_Item(document, number, StepItem.model_validate(step)))
        except ValidationError:
            continue  # reported with the file it is in
    return tuple(problems)


def _refuse_repeated(files: Iterable[_File], what: str) -> dict[str, _File]:
    """Return *files* by name, with a problem for each whose name is taken."""
    named: dict[str, _File] = {}
    for file in files:
        first = named.setdefault(file.name, file)
        if file.name and first is not file:
            text = f"{what} {file.name!r} is in {first.path}:{first.line} too"
            file.problems.append(file.problem(text, "rename one", file.line))
    named.pop("", None)
    return named


def _refuse_problems(files: Iterable[_File]) -> None:
    by_line = attrgetter("line")
    problems = [each for file in files for each in sorted(file.problems, key=by_line)]
    if problems:
        raise DefinitionError(*problems)


class _Expansion:
    """Turns the items of a file into steps; groups are expanded from the bottom up."""

    def __init__(self, groups: Iterable[_File], classes: Collection[str] | None) -> None:
        self.groups = _refuse_repeated(groups, "group")
        self.classes = classes
        self.expanded: dict[str, tuple[Step, ...]] = {}
        for name in self.bottom_up():
            self.expanded[name] = self(self.groups[name])

    def __call__(self, file: _File) -> tuple[Step, ...]:
        """Return the steps of *file*; what is wrong with them is noted there."""
        steps: dict[str, Step] = {}
        for item in file.items:
            more = self.steps_of(item, file.problems)
            twice = [step for step in more if step.name in steps]
            if twice:
                first, rest = twice[0], len(twice) - 1
                others = f" (and {rest} more)" if rest else ""
                file.problems.append(
                    item.problem(
                        f"step {first.name!r}{others} is there already, from "
                        f"{steps[first.name].source}; step names are unique in a flow"
                    )
                )
            steps.update((step.name, step) for step in more)
            if len(steps) > MAX_STEPS:
                text = f"more than {MAX_STEPS} steps with this one; split the flow"
                file.problems.append(item.problem(text))
                return ()
        file.problems.extend(self.wrong_edges(file, steps))
        return tuple(steps.values())

    def wrong_edges(self, file: _File, steps: Mapping[str, Step]) -> Iterator[Problem]:
        edges = [(item, key) for item in file.items if (key := item.step.edge)]
        groups = [item for item in file.items if self.group_of(item.step)]
        if file.is_group:
            for item, key in edges:
                text = f"{key!r} means nothing in a group, whose steps run in order"
                yield item.problem(f"{text}; write its steps into the flow instead", key)
        elif edges and groups:
            for item in groups:
                name = self.group_of(item.step)
                text = (
                    f"group {name!r} is in a flow with edges, where order means nothing"
                )
                yield item.problem(f"{text}; write its steps out")
        elif edges and file.whole:
            # Next to a step that cannot be read, any edge may look wrong.
            item_of = {item.step.value(item.source).name: item for item in file.items}
            for step, outcome, text in wrong_edges({s: steps[s].edges for s in steps}):
                yield item_of[step].problem(text, outcome or "")

    def steps_of(self, item: _Item, problems: list[Problem]) -> tuple[Step, ...]:
        step = item.step
        for name in step.class_names or ():
            if name in self.groups:
                text = f"{name!r} in 'classNames' is a group; give it an item of its own"
                problems.append(item.problem(text, "classNames"))
        group = self.group_of(step)
        if not group:
            problems.extend(self.unknown_class(item))
            return (step.value(item.source),)
        if step.tuned:
            text = f"{step.tuned[0]!r} means nothing for group {group!r}; write it there"
            problems.append(item.problem(text))
        if group not in self.groups:
            text = f"group {group!r} is not there{suggest(group, self.groups)}"
            problems.append(item.problem(text))
        return self.expanded.get(group, ())

    def group_of(self, step: StepItem) -> str:
        """Return the group that *step* stands for, or nothing; a group hides a class."""
        if step.class_name in self.groups:
            return step.class_name
        return step.group_name or ""

    def unknown_class(self, item: _Item) -> Iterable[Problem]:
        if self.classes is None or item.step.simulated:
            return
        undo = [item.step.undo] if item.step.undo else []
        for name in [*item.step.classes, *undo]:
            if name not in self.classes and name.rpartition(".")[2] not in self.classes:
                known = suggest(name, {*self.classes, *self.groups})
                yield item.problem(f"class {name!r} is not registered{known}")

    def used_by(self, file: _File) -> set[str]:
        """Return the names of the groups that *file* uses, directly or not."""
        used: set[str] = set()
        waiting = [file]
        while waiting:
            names = {self.group_of(item.step) for item in waiting.pop().items}
            new = (names & self.groups.keys()) - used
            used |= new
            waiting += [self.groups[name] for name in new]
        return used

    def bottom_up(self) -> list[str]:
        """Return the names of the groups, each after those that it uses."""
        uses = {
            name: [
                used
                for item in group.items
                if (used := self.group_of(item.step)) in self.groups
            ]
            for name, group in self.groups.items()
        }
        while True:
            try:
                return list(TopologicalSorter(uses).static_order())
            except CycleError as error:
                cycle = error.args[1][::-1]
                self.refuse_cycle(cycle)
                uses[cycle[0]] = [name for name in uses[cycle[0]] if name != cycle[1]]

    def refuse_cycle(self, cycle: list[str]) -> None:
        group = self.groups[cycle[0]]
        item = next(i for i in group.items if self.group_of(i.step) == cycle[1])
        text = (
            f"group {cycle[0]!r} contains itself: {' -> '.join(cycle)}; break the circle"
        )
        group.problems.append(item.problem(text))
