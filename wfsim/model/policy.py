"""Every number of the engine, with the reference engine's value as its default.

Sources: the retry limit of 10 (``wf_runtime.go:44``), the 5 s at which a cancel is
noticed (``resource_workflow.go:207``), the 1 s after which a failed pass is driven
again (``mpdcluster_controller.go:109``), 26 workers (``config.go:64``), a lease of
15 s renewed within 10 s (controller-runtime's defaults); of the service: the 5 s
between two looks (``workflow2/workflow.go:53``), one node at each (``meta.go:236``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

from wfsim.errors import DefinitionError

UNBOUNDED = 10**9
"""So many workers are as many as anybody wants."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how soon a step is tried again.

    *limit* counts failures and *restarts* counts crashes, each per step and each
    reset by recovery.  The n-th retry follows after
    ``min(delay * factor ** (n - 1), cap)`` seconds of virtual time.
    Raises `DefinitionError` for numbers that make no sense.

    >>> Retry(delay=1.0, factor=2.0, cap=5.0).after(4)
    5.0
    """

    limit: int = 10
    restarts: int = 10
    delay: float = 1.0
    factor: float = 1.0
    cap: float = 1000.0

    def __post_init__(self) -> None:
        for name in ("limit", "restarts", "delay", "cap"):
            value = getattr(self, name)
            _demand(0 <= value < inf, "Retry", name, value, "give 0 or more")
        _demand(1 <= self.factor < inf, "Retry", "factor", self.factor, "give 1 or more")

    def after(self, failures: int) -> float:
        """Return the seconds to wait before the retry that follows *failures*."""
        if self.factor == 1.0:
            return min(self.delay, self.cap)
        try:
            grown = self.delay * float(self.factor) ** max(failures - 1, 0)
        except OverflowError:  # a float ends at 2.0 ** 1024
            return self.cap
        return min(grown, self.cap)


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers a controller works with; times are seconds of virtual time.

    *timeout* bounds one attempt of a step and *deadline* a whole run (None: neither
    is bounded, as in the reference); a flow or a step may set its own.  *redrive* says
    when to look again after a pass that a store cut short.  *retention* is how many
    finished runs of a resource are kept (None: all of them).  A *lease* lapses that
    many seconds after it was last renewed, which happens every *renew* seconds.

    A service takes its flows up every *watch_tick* seconds (0: at once) and then runs
    *nodes_per_tick* of their steps (None: it goes on at once until nothing is left).
    Raises `DefinitionError` for numbers that make no sense.
    """

    retry: Retry = field(default_factory=Retry)
    timeout: float | None = None
    deadline: float | None = None
    cancel_tick: float = 5.0
    redrive: Retry = field(default_factory=Retry)
    workers: int = 26
    retention: int | None = None
    lease: float = 15.0
    renew: float = 10.0
    watch_tick: float = 5.0
    nodes_per_tick: int | None = 1

    def __post_init__(self) -> None:
        for name in ("timeout", "deadline", "lease", "renew"):
            value = getattr(self, name)
            fine = value is None or 0 < value < inf
            _demand(fine, "Policy", name, value, "give seconds above 0")
        lease = self.lease
        for name in ("cancel_tick", "watch_tick"):
            tick = getattr(self, name)
            _demand(0 <= tick < inf, "Policy", name, tick, "give 0 or more")
        cure = f"give less than lease, {lease:g}"
        _demand(self.renew < lease, "Policy", "renew", self.renew, cure)
        for name in ("workers", "retention", "nodes_per_tick"):
            value = getattr(self, name)
            fine = value is None or value >= 1
            _demand(fine, "Policy", name, value, "give 1 or more")

    @classmethod
    def service(cls, **numbers: Any) -> Policy:
        """Return the policy of the reference's service: no retries, no bound on workers.

        With a bound, flows that wait for others could keep those from being worked on.

        >>> Policy.service(nodes_per_tick=None).retry.limit
        0
        """
        anew: dict[str, Any] = {
            "retry": Retry(limit=0, restarts=100),
            "workers": UNBOUNDED,
        }
        return cls(**(anew | numbers))


def _demand(fine: bool, what: str, name: str, value: object, cure: str) -> None:
    if not fine:
        raise DefinitionError(f"{what}: {name} is {value!r}; {cure}")
