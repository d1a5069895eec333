"""Every number of the engine, with the reference engine's value as its default.

Sources: the retry limit of 10 (``wf_runtime.go:44``), the 5 s at which a cancel is
noticed (``resource_workflow.go:207``), the 1 s after which a failed pass is driven
again (``mpdcluster_controller.go:109``), 26 workers (``config.go:64``), a lease of
15 s renewed within 10 s (controller-runtime's defaults); of the service: the 5 s
between two looks (``workflow2/workflow.go:53``), one node at each (``meta.go:236``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from wfsim.errors import DefinitionError, Problem
from wfsim.model.bounds import (
    MAX_COUNT,
    Count,
    Doc,
    Growth,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    Share,
    check,
)

DeadlineFrom: TypeAlias = Literal["start", "request"]
"""What a deadline counts from: when a worker begins a run, or when it was asked for."""

UNBOUNDED = MAX_COUNT
"""So many workers are as many as anybody wants."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how soon a step is tried again.

    *limit* counts failures and *restarts* counts crashes, each per step and each
    reset by recovery.  The n-th retry follows after
    ``min(delay * factor ** (n - 1), cap)`` seconds of virtual time, less a share of it
    that is drawn evenly from 0 to *jitter*: with 1 anything up to it ("full jitter",
    Brooker 2015, AWS Architecture Blog).
    Raises `DefinitionError` for numbers that make no sense.

    >>> Retry(delay=1.0, factor=2.0, cap=5.0).after(4)
    5.0
    """

    limit: Annotated[Count, Doc("Failures after which a run is interrupted.")] = 10
    restarts: Annotated[
        Count, Doc("How often one step may be restarted because the controller crashed.")
    ] = 10
    delay: Annotated[Seconds, Doc("Seconds before the first retry.")] = 1.0
    factor: Annotated[
        Growth, Doc("How many times longer each wait is than the one before.")
    ] = 1.0
    cap: Annotated[Seconds, Doc("The longest wait, in seconds.")] = 1000.0
    jitter: Annotated[
        Share, Doc("The share of each wait that may be left out, drawn anew each time.")
    ] = 0.0

    def __post_init__(self) -> None:
        check(self)

    def after(self, failures: int, draw: float = 0.0) -> float:
        """Return the seconds to wait before the retry that follows *failures*.

        *draw* (0 <= draw < 1) says how much of the jitter is left out.
        """
        wait = min(self.delay, self.cap)
        if self.factor != 1.0:
            try:
                grown = self.delay * float(self.factor) ** max(failures - 1, 0)
                wait = min(grown, self.cap)
            except OverflowError:  # a float ends at 2.0 ** 1024
                wait = self.cap
        return wait * (1.0 - self.jitter * draw) if self.jitter else wait


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers a controller works with; times are seconds of virtual time.

    *retry* says how often and how soon a step is tried again, *workers* how many
    resources a controller works on at a time, *cancel_tick* how often a step under way
    looks for a cancel.  *timeout* bounds one attempt of a step and *deadline* a whole run
    (None: neither is bounded, as in the reference); a flow or a step may set its own.  A
    deadline counts from the start of a run or, by *deadline_from*, from its request.
    *redrive* is the delay before a controller tries again after a store error.
    *retention* is how many finished runs of a resource are kept (None: all of them).  A
    *lease* lapses that many seconds after it was last renewed, which happens every
    *renew* seconds.

    A service takes its flows up every *watch_tick* seconds (0: at once) and then runs
    *nodes_per_tick* of their steps (None: it goes on at once until nothing is left).
    Raises `DefinitionError` for numbers that make no sense.
    """

    retry: Retry = field(default_factory=Retry)
    timeout: Annotated[
        PositiveSeconds | None,
        Doc("Seconds that one attempt of a step may take; null: any."),
    ] = None
    deadline: Annotated[
        PositiveSeconds | None, Doc("Seconds that a whole run may take; null: any.")
    ] = None
    deadline_from: Annotated[
        DeadlineFrom,
        Doc(
            "Whether a deadline counts from when a worker begins the run (start), or "
            "from when it was asked for (request)."
        ),
    ] = "start"
    cancel_tick: Seconds = 5.0
    redrive: Retry = field(default_factory=Retry)
    workers: PositiveCount = 26
    retention: Annotated[
        PositiveCount | None,
        Doc("Finished runs of a resource that are kept; null: all."),
    ] = None
    lease: PositiveSeconds = 15.0
    renew: PositiveSeconds = 10.0
    watch_tick: Annotated[
        Seconds, Doc("Seconds between the looks of a service; 0: at once.")
    ] = 5.0
    nodes_per_tick: Annotated[
        PositiveCount | None,
        Doc(
            "Steps of a flow that a service runs at each look; null: it goes on at once "
            "until nothing is left."
        ),
    ] = 1

    def __post_init__(self) -> None:
        check(self)
        if self.renew >= self.lease:
            text = f"renew is {self.renew!r}"
            cure = f"give less than lease, {self.lease:g}"
            raise DefinitionError(Problem(text, cure, ("renew",), "Policy"))

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
