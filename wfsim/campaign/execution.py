"""Points of a campaign being run: here or in processes, until a budget is spent."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from time import monotonic  # noqa: TID251  a budget is one of real time
from types import TracebackType
from typing import Any

from wfsim.campaign.lab import Lab
from wfsim.campaign.sites import Point
from wfsim.campaign.trunk import Outcome
from wfsim.sim.terminal import in_sight

CHUNK = 64
"""So many points a process gets at once: each makes the calm run anew."""

Numbered = tuple[int, Outcome]


class Execution:
    """Runs points with a *budget*, of points (int) or seconds (float), and a bar.

    As a context it takes Ctrl-C for the end of its budget: what has been run until then
    are its `outcomes`, in the order in which the points were given.
    """

    def __init__(
        self,
        lab: Lab,
        budget: float | None = None,
        jobs: int = 1,
        progress: bool | None = None,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.planned = 0
        self.is_cut_short = False
        self._lab, self._jobs = lab, jobs
        self._left = budget if isinstance(budget, int) else None
        self._until = monotonic() + budget if isinstance(budget, float) else None
        self._in_sight = in_sight(progress)
        self._bar: Any = None

    def __enter__(self) -> Execution:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if self._bar is not None:
            self._bar.close()
        self.is_cut_short = isinstance(error, KeyboardInterrupt)
        return self.is_cut_short

    @property
    def is_late(self) -> bool:
        """Whether the seconds of the budget are over."""
        return self._until is not None and monotonic() > self._until

    def run(self, points: Sequence[Point]) -> None:
        """Run *points*, most telling first, as far as the budget goes."""
        self.planned += len(points)
        if self._left is not None:
            points = points[: self._left]
            self._left -= len(points)
        self._show(0)
        rows: dict[int, Outcome] = {}
        results = self._here(points) if self._jobs == 1 else self._elsewhere(points)
        try:
            for number, outcome in results:
                rows[number] = outcome
                self._show(1)
                if self.is_late:
                    break
        finally:
            results.close()
            self.outcomes += [rows[number] for number in sorted(rows)]

    def _here(self, points: Sequence[Point]) -> Generator[Numbered]:
        for number, point in enumerate(points):
            if self.is_late:
                return
            yield number, self._lab.outcome(point)

    def _elsewhere(self, points: Sequence[Point]) -> Generator[Numbered]:
        from wfsim.study.execution import library

        joblib = library("joblib", "more than one job")
        backend, _ = joblib.parallel.get_active_backend()
        # Where a backend hands over nothing before the end, as Ray's, it is taken then.
        return_as = "generator" if backend.supports_return_generator else "list"
        pool = joblib.Parallel(n_jobs=self._jobs, return_as=return_as, batch_size=1)
        lab = replace(self._lab)
        chunk = joblib.delayed(_chunk)
        done: Any = pool(chunk(lab, part) for part in _chunks(points))
        try:
            for outcomes in done:
                yield from outcomes
        finally:
            if isinstance(done, Generator):
                done.close()

    def _show(self, more: int) -> None:
        if not self._in_sight:
            return
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(unit=" points", delay=2.0, leave=False)
        self._bar.total = self.planned
        self._bar.update(more)


def _chunks(points: Sequence[Point]) -> Iterator[list[tuple[int, Point]]]:
    """Yield *points* with their numbers, those of one trunk in one chunk if they fit."""
    first: dict[Any, int] = {}
    numbered = [*enumerate(points)]
    for number, point in numbered:
        first.setdefault(point.plan[:-1], number)
    numbered.sort(key=lambda row: (first[row[1].plan[:-1]], row[0]))
    for at in range(0, len(numbered), CHUNK):
        yield numbered[at : at + CHUNK]


def _chunk(lab: Lab, numbered: Sequence[tuple[int, Point]]) -> list[Numbered]:
    return [(number, lab.outcome(point)) for number, point in numbered]


__all__ = ["Execution"]
