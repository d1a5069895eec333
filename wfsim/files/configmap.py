"""The mementos in a dump of the ConfigMap in which the reference engine keeps them.

``kubectl get configmap mpd-0-workflow -o yaml`` (or ``-o json``) prints one; it has an
entry for each run of one resource.  What a caretaker is, see the pattern *memento*.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from wfsim.errors import DefinitionError, MementoError
from wfsim.model import json_text
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.resource import Key

if TYPE_CHECKING:
    from wfsim.errors import Location
    from wfsim.files.document import Document

LABEL = "flowJobsDomain"
ENDING = "-workflow"
MAX_ENTRIES = 10_000
MAX_BYTES = 1 << 20
"""Of the values of one ConfigMap together, as an API server counts them."""
MAX_DUMP = 8 << 20
"""Bytes of a dump: in it, a byte of a value may take six, beside all the metadata."""


class Caretaker(Sequence[Memento]):
    """The mementos of one *resource*, newest run last, and what could not be read."""

    def __init__(
        self,
        resource: Key,
        mementos: Sequence[Memento],
        quarantined: Sequence[Quarantined] = (),
    ) -> None:
        self.resource = resource
        self.quarantined = tuple(quarantined)
        self._mementos = tuple(mementos)

    def __repr__(self) -> str:
        runs = ", ".join(f"{run.key} {run.status.value}" for run in self._mementos)
        bad = ", ".join(entry.key for entry in self.quarantined)
        more = f"; quarantined: {bad}" if bad else ""
        return f"<Caretaker of {self.resource}: {runs or 'no run'}{more}>"

    def __len__(self) -> int:
        return len(self._mementos)

    @overload
    def __getitem__(self, index: int) -> Memento: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Memento, ...]: ...
    def __getitem__(self, index: int | slice) -> Memento | tuple[Memento, ...]:
        return self._mementos[index]


def load_mementos(file: str | os.PathLike[str]) -> Caretaker:
    """Return the mementos in *file*, a ConfigMap in YAML or JSON, newest run last.

    The number of a run is that of its key, its flow the one that its text names, as in
    the reference, which looks at no more of the key.  An entry that is corrupt, cut
    short or newer than this version is among ``.quarantined`` of the result, with the
    reason; ``.resource`` says whose runs they are.  A list of ConfigMaps may have one
    item.  Raises `DefinitionError` with file and line.
    """
    from wfsim.files.document import read_document

    document = read_document(file, most=MAX_DUMP)
    path = _location(document)
    configmap = _ConfigMap.of(document, path)
    mementos: list[Memento] = []
    quarantined: list[Quarantined] = []
    for key, text in sorted(configmap.data.items(), key=lambda item: _number(item[0])):
        try:
            run_key = _key_of_run(key, text)
            run = Memento.from_json(run_key, text, kind=configmap.resource.kind)
            mementos.append(run._replace(resource=configmap.resource))
        except MementoError as error:
            quarantined.append(Quarantined(key, configmap.resource, text, str(error)))
    return Caretaker(configmap.resource, mementos, quarantined)


def _key_of_run(key: str, text: str) -> str:
    """Return the number of *key* with the flow that *text* names, if it names one."""
    number, dash, _ = key.partition("-")
    try:
        flow = json_text.load(text)["flowName"]
    except (ValueError, LookupError, TypeError):
        return key
    return f"{number}-{flow}" if dash and isinstance(flow, str) else key


def _number(key: str) -> tuple[int, str]:
    number = key.partition("-")[0][:9]
    return (int(number) if number.isascii() and number.isdigit() else 0, key)


def _location(document: Document) -> Location:
    """Return where in *document* the one ConfigMap stands."""
    data = document.data
    if not isinstance(data, dict):
        raise _wrong(document, (), f"a ConfigMap is a mapping; {_CURE}")
    if data.get("kind") not in ("List", "ConfigMapList"):
        return ()
    items = data.get("items")
    count = len(items) if isinstance(items, list) else 0
    if count != 1:
        raise _wrong(document, ("items",), f"{count} items; dump one ConfigMap: {_CURE}")
    return ("items", 0)


class _ConfigMap(NamedTuple):
    """What matters of a ConfigMap: whose runs it holds, and their texts by key."""

    resource: Key
    data: dict[str, str]

    @classmethod
    def of(cls, document: Document, path: Location) -> _ConfigMap:
        """Read the ConfigMap at *path*, or raise `DefinitionError`."""
        item = _at(document, path, dict, "a ConfigMap")
        if item.get("kind") != "ConfigMap":
            text = f"kind is {item.get('kind')!r}, not 'ConfigMap'; {_CURE}"
            raise _wrong(document, (*path, "kind"), text)
        data = _at(document, (*path, "data"), dict, "data")
        if len(data) > MAX_ENTRIES:
            text = f"more than {MAX_ENTRIES} entries; keep those of the last runs"
            raise _wrong(document, (*path, "data"), text)
        for key, text in data.items():
            if not isinstance(text, str):
                problem = f"{key!r} is not text; put the memento's JSON in single quotes"
                raise _wrong(document, (*path, "data", key), problem)
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in data.values())
        if size > MAX_BYTES:
            text = f"{size} bytes of data; a ConfigMap has {MAX_BYTES} at most"
            raise _wrong(document, (*path, "data"), f"{text}: drop runs that are over")
        return cls(_resource(document, (*path, "metadata")), data)


def _resource(document: Document, path: Location) -> Key:
    """Return the key of the resource, from the label, or else from the name."""
    metadata = _at(document, path, dict, "metadata")
    labels = _at(document, (*path, "labels"), dict, "labels")
    name, label = metadata.get("name", ""), labels.get(LABEL, "")
    namespace = metadata.get("namespace", "default")
    texts = {"name": name, f"label {LABEL}": label, "namespace": namespace}
    for what, text in texts.items():
        if not isinstance(text, str):
            raise _wrong(document, path, f"the {what} is not text; put it in quotes")
    if not label and not (name.endswith(ENDING) and name != ENDING):
        text = (
            f"whose mementos these are is not to be seen; add the label {LABEL} with the "
            f"resource's name, or call it NAME{ENDING}"
        )
        raise _wrong(document, (*path, "name"), text)
    owners = _at(document, (*path, "ownerReferences"), list, "ownerReferences")
    named = [owner for owner in owners if isinstance(owner, dict)]
    kinds = [owner.get("kind") for owner in sorted(named, key=_is_no_controller)]
    kind = kinds[0] if kinds and isinstance(kinds[0], str) else ""
    return Key(kind, namespace, label or name.removesuffix(ENDING))


def _is_no_controller(owner: dict[str, Any]) -> bool:
    return owner.get("controller") is not True


def _at(document: Document, path: Location, kind: type, what: str) -> Any:
    """Return the mapping or list at *path*, an empty one if nothing is there."""
    value = document.data
    for part in path:
        value = value.get(part) if isinstance(value, dict) else value[part]
        if value is None:
            return kind()
    if not isinstance(value, kind):
        name = "mapping" if kind is dict else "list"
        raise _wrong(document, path, f"{what} is not a {name}; {_CURE}")
    return value


def _wrong(document: Document, path: Location, text: str) -> DefinitionError:
    return DefinitionError(document.problem(path, text))


_CURE = "give what 'kubectl get configmap NAME-workflow -o yaml' prints"

__all__ = ["Caretaker", "load_mementos"]
