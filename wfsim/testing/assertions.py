"""Assertions about scenarios and logs, for any test runner."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfsim.errors import UsageError
from wfsim.model.log import EventLog, HasLog, lines, log_of
from wfsim.sim.expectation import is_update

if TYPE_CHECKING:
    from wfsim.campaign.lab import Maker
    from wfsim.campaign.report import Report
    from wfsim.report.diff import Pair
    from wfsim.sim.faults import Fault
    from wfsim.sim.scenario import Scenario

MOST_RECORDS = 20
"""So many records that differ are listed; all of them are in the frame that is named."""

MOST_VALUES = 4
"""Of a record that differs so many values are listed."""


def assert_converges(
    scenario: Scenario | Maker,
    faults: str | Iterable[str | type[Fault] | Fault] = "all",
    **bounds: Any,
) -> Report | None:
    """Assert that *scenario* ends as its calm run does, whatever interrupts it.

    All arguments are those of `wfsim.explore`, whose report is returned.  Where *faults*
    are faults (``[wfsim.CrashAt(t=40, restart_after=10)]``), not names or classes, they
    are one plan, by which one run is made, and None is returned.

    Raises `AssertionError` with what is wrong, the smallest plan that does it and its
    explanation, for each cause; also if nothing was interrupted at all.  Raises
    `UsageError` for wrong arguments, and if the calm run is wrong itself.
    """
    from wfsim.campaign.explore import explore, problems
    from wfsim.sim.faults import Fault

    __tracebackhide__ = True
    wanted = faults if isinstance(faults, str) else list(faults)
    if wanted and not isinstance(wanted, str) and isinstance(wanted[0], Fault):
        if wrong := problems(scenario, wanted, **bounds):  # type: ignore[arg-type]
            plan = ", ".join(map(repr, wanted))
            raise AssertionError("\n".join([f"it does not converge: {plan}", *wrong]))
        return None
    report = explore(scenario, wanted, **bounds)  # type: ignore[arg-type]
    if report.interrupted:
        raise KeyboardInterrupt
    if report.failures:
        raise AssertionError(f"it does not converge\n{report!r}")
    if all(outcome.how == "void" for outcome in report.outcomes):
        raise AssertionError(f"nothing was interrupted\n{report!r}")
    return report


def assert_digest(
    log: EventLog | HasLog, golden: str | os.PathLike[str], *, update: bool | None = None
) -> None:
    """Assert that *log*, or that of a Simulation, has the digest of the log in *golden*.

    That is a file ``*.jsonl`` with all records, so that a difference can be shown record
    by record; lines of code are not in it, as they are not in a digest.  It is written if
    *update* is true or, where that is None, if the environment variable `WFSIM_UPDATE` is
    set, as it is by ``pytest --wfsim-update``.

    Raises `AssertionError` if there is no such file, or the log is another one, with what
    differs; `UsageError` if *golden* is another kind of file; `DefinitionError` if it
    cannot be read.
    """
    __tracebackhide__ = True
    log, path = log_of(log), Path(golden)
    if path.suffix != ".jsonl":
        raise UsageError(
            f"{path} is no file for a golden log; give one called *.jsonl, in which all "
            "records are kept, so that a difference can be shown"
        )
    if is_update(update):
        _write(log, path)
    elif not path.exists():
        raise AssertionError(
            f"there is no golden log {path}; look at the log, and write it with "
            "pytest --wfsim-update"
        )
    else:
        expected = EventLog.from_jsonl(path)
        if expected.digest() != log.digest():
            here = Path.cwd()
            shown = path.relative_to(here) if path.is_relative_to(here) else path
            raise AssertionError("\n".join(_difference(expected, log, shown)))


def _write(log: EventLog, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines(log.records, log.meta, where=False))
    path.write_text(text, encoding="utf-8", newline="\n")


def _difference(golden: EventLog, log: EventLog, path: Path) -> Iterator[str]:
    """Yield lines that say how *log* differs from the *golden* one in *path*."""
    from wfsim.report.changes import changes
    from wfsim.report.diff import ONLY_A, ONLY_B, SAME, STATUSES, pairs

    yield f"the log is not the golden one in {path}"
    yield f"digest {log.digest()} instead of {golden.digest()}"
    about = changes(golden.meta, log.meta)
    if about:
        yield f"what ran is not the same: {_values(about)}"
    aligned = pairs(golden, log)
    counts = Counter(pair.status for pair in aligned)
    names = {ONLY_A: "only in the golden log", ONLY_B: "only in this one"}
    shown = ((counts[status], names.get(status, status)) for status in STATUSES)
    yield "records: " + ", ".join(f"{count} {what}" for count, what in shown if count)
    differing = [pair for pair in aligned if pair.status != SAME]
    for pair in differing[:MOST_RECORDS]:
        yield from _pair(pair)
    if len(differing) > MOST_RECORDS:
        yield f"  and {len(differing) - MOST_RECORDS} more"
    yield f"each record: wfsim.diff(wfsim.EventLog.from_jsonl({str(path)!r}), log)"
    yield "if it is meant so: pytest --wfsim-update"


def _pair(pair: Pair) -> Iterator[str]:
    a, b = pair.a, pair.b
    if a is None or b is None:
        yield f"- {a}" if b is None else f"+ {b}"
        return
    shift = f"{b.time - a.time:+.3f} s" if a.time != b.time else ""
    yield f"  {a}: {', '.join(filter(None, (shift, _values(pair.changes))))}"


def _values(differences: Iterable[Any]) -> str:
    listed = [f"{path} {before!r} -> {after!r}" for path, before, after in differences]
    more = [f"{len(listed) - MOST_VALUES} more values"] if listed[MOST_VALUES:] else []
    return ", ".join([*listed[:MOST_VALUES], *more])


__all__ = ["assert_converges", "assert_digest"]
