"""Every number of the engine, with the reference engine's value as its default.

Sources: the retry limit of 10 (``wf_runtime.go:44``), the 5 s at which a cancel is
noticed (``resource_workflow.go:207``), the 1 s after which a failed pass is driven
again (``mpdcluster_controller.go:109``), 26 workers (``config.go:64``), a lease of
15 s renewed within 10 s (controller-runtime's defaults).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how soon a step is tried again.

    *limit* counts failures and *restarts* counts crashes, each per step and each
    reset by recovery.  The n-th retry follows after
    ``min(delay * factor ** (n - 1), cap)`` seconds of virtual time.

    >>> Retry(delay=1.0, factor=2.0, cap=5.0).after(4)
    5.0
    """

    limit: int = 10
    restarts: int = 10
    delay: float = 1.0
    factor: float = 1.0
    cap: float = 1000.0

    def after(self, failures: int) -> float:
        """Return the seconds to wait before the retry that follows *failures*."""
        if self.factor == 1.0:
            return min(self.delay, self.cap)
        # Compared as exponents first: a float overflows at 2.0 ** 1024.
        grown = self.delay * self.factor ** min(max(failures - 1, 0), 64)
        return min(grown, self.cap)


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers a controller works with; times are seconds of virtual time.

    *timeout* bounds one attempt of a step and *deadline* a whole run (None: neither
    is bounded, as in the reference); a flow or a step may set its own.  *retention*
    is how many finished runs of a resource are kept (None: all of them).
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
