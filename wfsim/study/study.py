"""A study: what came of many replications at some points, as tidy frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wfsim.report.chart import count, frame_digest
from wfsim.report.frames import frame
from wfsim.study.grid import Grid
from wfsim.study.replication import RUN_COLUMNS, RUN_DTYPES, TALLY_DTYPES, Rows

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """What came of many replications at some points; made by `sweep`.

    ``over`` are the names of the parameters that were varied; they are the first columns
    of each frame.  ``points`` has a row for each point.

    ``runs`` has a row per run: ``replication`` (int64), ``resource``, ``run``, ``flow``,
    ``status``, ``start``, ``end``, ``duration``, ``retries`` and ``restarts`` as in
    `tables.runs`; ``queued``, ``steps``, ``retries_seconds``, ``recovery``, ``waiting``,
    ``other`` and ``total``, their sum, as in `tables.breakdown`.  Runs that began during
    the scenario's warm-up are left out.

    ``replications`` has a row per point and replication:

    =============== ======= ======================================================
    ``replication`` int64   from 0
    ``seed``        int64   `simulate` with it does the same again
    ``runs``        int64
    ``success``     float64 share of them that completed, NaN without any
    ``mean``        float64 duration of completed runs, NaN without any
    ``p50``         float64 their median
    ``p95``         float64 what 95 % of them do not exceed
    ``makespan``    float64 when the last run had ended, or the log
    ``retries``     int64   of all runs together
    ``restarts``    int64   of all runs together
    =============== ======= ======================================================

    and a float64 column for each measure of one's own.  Times are seconds of virtual
    time.  ``interrupted`` tells of a study that Ctrl-C has cut short.
    """

    def __init__(
        self,
        over: Sequence[str],
        points: pd.DataFrame,
        runs: pd.DataFrame,
        replications: pd.DataFrame,
        *,
        seed: int = 0,
        interrupted: bool = False,
    ) -> None:
        self.over = tuple(over)
        self.points = points
        self.runs = runs
        self.replications = replications
        self.seed = seed
        self.interrupted = interrupted

    @classmethod
    def of(
        cls,
        grid: Grid,
        done: Mapping[int, Sequence[Rows]],
        *,
        seed: int = 0,
        interrupted: bool = False,
    ) -> Study:
        """Return the study of what was *done* at each point, in whatever order."""
        ordered = [
            rows
            for point in range(len(grid.points))
            for rows in sorted(done.get(point, ()), key=lambda rows: rows.first)
        ]
        points = frame(grid.columns(range(len(grid.points))), grid.dtypes)
        runs, tallies = _runs(grid, ordered), _tallies(grid, ordered)
        return cls(grid.names, points, runs, tallies, seed=seed, interrupted=interrupted)

    @property
    def digest(self) -> str:
        """Eight hex digits that a change of any number in ``replications`` changes."""
        return frame_digest(self.replications)

    def __repr__(self) -> str:
        said = f" over {', '.join(self.over)}" if self.over else ""
        cut = ", interrupted" if self.interrupted else ""
        return (
            f"<Study{said}: {count(len(self.points), 'point')}, "
            f"{count(len(self.replications), 'replication')}, "
            f"{count(len(self.runs), 'run')}{cut} [{self.digest}]>"
        )


def _runs(grid: Grid, ordered: Sequence[Rows]) -> pd.DataFrame:
    of = [rows.point for rows in ordered for _ in rows.runs["replication"]]
    columns: dict[str, Sequence[Any]] = dict(grid.columns(of))
    for name in ("replication", *RUN_COLUMNS):
        columns[name] = [value for rows in ordered for value in rows.runs[name]]
    return frame(columns, {**grid.dtypes, **RUN_DTYPES, "replication": "int64"})


def _tallies(grid: Grid, ordered: Sequence[Rows]) -> pd.DataFrame:
    of = [rows.point for rows in ordered for _ in range(rows.size)]
    columns: dict[str, Sequence[Any]] = dict(grid.columns(of))
    columns["replication"] = [
        number for rows in ordered for number in range(rows.first, rows.stop)
    ]
    names = ordered[0].tallies if ordered else TALLY_DTYPES
    for name in names:
        columns[name] = [value for rows in ordered for value in rows.tallies[name]]
    dtypes = {**dict.fromkeys(names, "float64"), **TALLY_DTYPES, "replication": "int64"}
    return frame(columns, {**dtypes, **grid.dtypes})
