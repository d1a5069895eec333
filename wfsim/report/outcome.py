"""How a log ended, in words."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from wfsim.model.log import EventLog
from wfsim.report import tables
from wfsim.report.files import shown
from wfsim.report.history import outages


def outcome(log: EventLog) -> str:
    """Return in a sentence or two how the runs ended and where the resources stand.

    >>> outcome(EventLog())
    'No flow has run.'
    """
    runs, faults = tables.runs(log), tables.faults(log)
    said = [_run_sentence(run) for run in runs.itertuples()] if len(runs) <= 3 else []
    if len(runs) > 3:
        counts = Counter(map(str, runs["status"].tolist()))
        ended = ", ".join(f"{times:,} {status}" for status, times in counts.items())
        said.append(f"{len(runs):,} runs: {ended}.")
    elif not said:
        said.append("No flow has run.")
    moves = tables.states(log)
    last = dict(zip(map(str, moves["resource"]), map(str, moves["after"]), strict=True))
    if 0 < len(last) <= 3:
        stands = (f"{name} is {state or 'deleted'}" for name, state in last.items())
        said.append(f"{', '.join(stands)}.")
    if any(math.isinf(outage.until) for outage in outages(log)):
        said.append("No controller is up.")
    silent = int((faults["status"] == "never fired").sum())
    if silent:
        said.append(f"{silent} of {len(faults)} faults never fired.")
    return " ".join(said)


def _run_sentence(run: Any) -> str:
    took = "" if math.isnan(run.duration) else f" after {shown(run.duration)} s"
    again = [
        f"{number} {noun if number == 1 else plural}"
        for number, noun, plural in (
            (run.retries, "retry", "retries"),
            (run.restarts, "restart", "restarts"),
        )
        if number
    ]
    with_ = f" with {' and '.join(again)}" if again else ""
    why = f": {run.error}" if run.error else ""
    return f"{run.resource} {run.run} {run.status}{took}{with_}{why}."
