"""A resource: what a control plane looks after, as one snapshot of it.

>>> orders = Resource("db", "orders", state="Running")
>>> str(orders.key), orders.cancelled
('orders', False)
>>> orders.annotate(cancelled="true").cancelled
True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from wfsim.errors import DefinitionError, UsageError
from wfsim.model.frozen import EMPTY, Frozen, freeze, replacing

CREATING = "Creating"
INTERRUPT = "Interrupt"
REBUILD = "Rebuild"
RUNNING = "Running"

REASON = "interrupt.reason"
MESSAGE = "interrupt.message"
PREVIOUS = "interrupt.previous.status"
RECOVER = "interrupt.recover"
CANCEL = "cancelled"
CANCEL_REASON = "cancelled.reason"
PRIORITY = "priority"
"""The annotation that says who waits for a worker with a lower one goes first."""


# A NamedTuple's own constructor is a Python function; this one is not.
_new = tuple.__new__


class Key(NamedTuple):
    """What identifies a resource in a store."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        if self.namespace == "default":
            return self.name
        return f"{self.namespace}/{self.name}"


def key_called(name: str, keys: Iterable[Key]) -> Key | None:
    """Return the one of *keys* that *name* fits, None if it fits none.

    A whole name, such as ``prod/db-0``, comes before the last part of one.  Raises
    `UsageError` with the whole names if it fits several.
    """
    distinct = dict.fromkeys(keys)
    for key in distinct:
        if name in (str(key), f"{key.namespace}/{key.name}"):
            return key
    fitting = [key for key in distinct if key.name == name]
    if len(fitting) > 1:
        names = " and ".join(sorted(map(str, fitting)))
        raise UsageError(f"{name!r} fits {names}; give the whole name")
    return fitting[0] if fitting else None


class Resource(NamedTuple):
    """One snapshot of a resource; a change is a new snapshot.

    *revision*, *uid* and *entered* are kept by the store: the revision of the last
    write, the identity that a re-created namesake does not share, and the revision
    at which the present state was entered.  *deleted* is the virtual time, in
    seconds, at which deletion was asked for while finalizers held it back.
    """

    kind: str
    name: str
    namespace: str = "default"
    state: str = ""
    spec: Mapping[str, Any] = EMPTY
    status: Mapping[str, Any] = EMPTY
    annotations: Mapping[str, str] = EMPTY
    finalizers: tuple[str, ...] = ()
    deleted: float | None = None
    event: str = ""
    uid: str = ""
    revision: int = 0
    entered: int = 0

    @property
    def key(self) -> Key:
        """What identifies it in a store."""
        return _new(Key, (self.kind, self.namespace, self.name))

    @property
    def cancelled(self) -> bool:
        """Whether it has the annotation ``cancelled`` or is being deleted."""
        return self.deleted is not None or (
            CANCEL in self.annotations and self.annotations[CANCEL] == "true"
        )

    @property
    def priority(self) -> float:
        """Its priority, by the annotation; 0 without one that is a number."""
        try:
            number = float(self.annotations.get(PRIORITY, 0))
        except ValueError:
            return 0.0
        return number if number == number else 0.0

    def annotate(self, *remove: str, **add: str) -> Resource:
        """Return it without the annotations *remove* and with *add*."""
        others = {k: v for k, v in self.annotations.items() if k not in remove}
        return self._replace(annotations=Frozen(others | add))

    def edit(
        self,
        *,
        spec: Mapping[str, Any] = EMPTY,
        status: Mapping[str, Any] = EMPTY,
        annotations: Mapping[str, str | None] = EMPTY,
    ) -> Resource:
        """Return it with these keys of its parts set; a value of None removes one."""
        return self._replace(
            spec=_merge(self.spec, spec),
            status=_merge(self.status, status),
            annotations=_merge(self.annotations, annotations),
        )

    def move(self, state: str, event: str = "") -> Resource:
        """Return it in *state*, entered because of *event*."""
        return self._replace(state=state, event=event)

    def interrupt(self, reason: str, message: str) -> Resource:
        """Return it stopped, with what an operator needs to know to recover it."""
        return RECOVERY.interrupt(self, reason, message)

    @property
    def wants_recovery(self) -> bool:
        """Whether an operator asked to go on from `INTERRUPT`."""
        return RECOVERY.is_wanted(self)

    def recover(self, state: str) -> Resource:
        """Return it back in *state*, without the notes of the interruption."""
        return RECOVERY.go_on(self, state)


Resource._replace = replacing(Resource)  # type: ignore[method-assign]


@dataclass(frozen=True)
class Recovery:
    """How resources say that they are interrupted, and that they are to go on.

    The fields are the names of annotations, in the place of the reference's; a subclass
    may keep its notes elsewhere, and say otherwise when a resource is to go on.

    >>> ours = Recovery(recover="example.com/go-on")
    >>> stopped = ours.interrupt(Resource("db", "orders", state="Adding"), "LOST", "?")
    >>> stopped.annotations["example.com/go-on"], ours.state_before(stopped)
    ('F', 'Adding')
    """

    reason: str = REASON
    message: str = MESSAGE
    previous: str = PREVIOUS
    recover: str = RECOVER

    def __post_init__(self) -> None:
        names = [self.reason, self.message, self.previous, self.recover]
        for name in names:
            if not isinstance(name, str) or not name or names.count(name) > 1:
                text = f"{name!r} is among the annotations of a recovery"
                raise DefinitionError(f"{text}; give four names, each another one")

    def interrupt(self, resource: Resource, reason: str, message: str) -> Resource:
        """Return *resource* stopped, with what an operator needs to recover it."""
        notes = {
            self.recover: "F",
            self.reason: reason,
            self.message: message,
            self.previous: resource.state or CREATING,
        }
        return resource.annotate(**notes).move(INTERRUPT, reason)

    def is_noted(self, resource: Resource) -> bool:
        """Whether *resource* has notes of an interruption."""
        return self.recover in resource.annotations

    def is_wanted(self, resource: Resource) -> bool:
        """Whether an operator asked to go on from `INTERRUPT`.

        As in the reference, any value but ``F`` counts, an empty one too.
        """
        return resource.annotations.get(self.recover, "F") != "F"

    def state_before(self, resource: Resource) -> str:
        """Return the state in which *resource* was interrupted, "" if it has no note."""
        return resource.annotations.get(self.previous, "")

    def ask(self, resource: Resource) -> Resource:
        """Return *resource* with the request to go on."""
        return resource.annotate(**{self.recover: "T"})

    def go_on(self, resource: Resource, state: str) -> Resource:
        """Return *resource* back in *state*, without the notes of the interruption."""
        notes = self.recover, self.reason, self.message, self.previous
        return resource.annotate(*notes).move(state, "recover")


RECOVERY = Recovery()
"""The reference's names and rule."""


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    if not new:
        return old
    merged = {**old, **freeze(new)}
    if None in merged.values():
        merged = {key: value for key, value in merged.items() if value is not None}
    return Frozen(merged)
