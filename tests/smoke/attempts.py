"""As many attempts are read from an event log as PM4Py counts executions in it.

``make mining LOGS=folder`` counts in the logs of a folder, too: XES and, with the columns
that XES has, CSV.  PM4Py counts the events of its interval log: each ``complete`` is one,
with the ``start`` that it belongs to if there is one.
"""

from __future__ import annotations

import gzip
import os
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["TQDM_DISABLE"] = "1"
warnings.filterwarnings("ignore")

import pandas as pd  # noqa: E402
import pm4py  # noqa: E402
from pm4py.objects.log.util import interval_lifecycle  # noqa: E402

import wfsim  # noqa: E402

TIME = "time:timestamp"
COLUMNS = {"case": "case:concept:name", "step": "concept:name", "time": TIME}


def by_pm4py(file: Path) -> int:
    """Return how many executions PM4Py counts."""
    is_table = ".csv" in file.suffixes
    frame = pd.read_csv(file) if is_table else pm4py.read_xes(str(file))
    # Dates such as 2019/11/03 01:11:19.000 stay texts when PM4Py reads them.
    frame[TIME] = pd.to_datetime(frame[TIME], utc=True, format="mixed")
    if "lifecycle:transition" in frame:
        frame = frame.fillna({"lifecycle:transition": "complete"})
    log = pm4py.convert_to_event_log(pm4py.format_dataframe(frame, timestamp_key=TIME))
    return sum(map(len, interval_lifecycle.to_interval(log)))


def by_us(file: Path) -> int:
    """Return how many attempts `read_history` reads."""
    columns = COLUMNS if ".csv" in file.suffixes else None
    return len(wfsim.read_history(file, columns=columns))


def event(step: str, minute: int, transition: str = "", instance: str = "") -> str:
    texts = {
        "concept:name": step,
        "lifecycle:transition": transition,
        "concept:instance": instance,
    }
    parts = [f'<string key="{k}" value="{v}"/>' for k, v in texts.items() if v]
    time = f"2024-03-01T10:{minute:02}:00Z"
    return f'<event>{"".join(parts)}<date key="{TIME}" value="{time}"/></event>'


def log(*events: str) -> str:
    name = '<string key="concept:name" value="1"/>'
    return f"<log><trace>{name}{''.join(events)}</trace></log>"


KINDS = {
    "repeated": log(*(event("A", minute, "complete") for minute in (0, 3, 9))),
    "no-transition": log(*(event("A", minute) for minute in (0, 3, 9))),
    "pairs": log(event("A", 0, "start"), event("A", 5, "complete"), event("A", 9)),
    "one-start": log(
        event("A", 0, "start"), event("A", 5, "complete"), event("A", 9, "complete")
    ),
    "at-once": log(
        event("A", 0, "start"),
        event("A", 1, "start"),
        event("A", 5, "complete"),
        event("A", 9, "complete"),
    ),
    "instances": log(
        event("A", 0, "start", "a"),
        event("A", 1, "start", "b"),
        event("A", 5, "complete", "b"),
        event("A", 9, "complete", "a"),
    ),
}


def main(folders: list[str]) -> int:
    """Count in logs of each kind, and in those of *folders*; 1 if any count differs."""
    with TemporaryDirectory() as place:
        for name, text in KINDS.items():
            packed = Path(place) / f"{name}.xes.gz"
            packed.write_bytes(gzip.compress(text.encode()))
        found = [Path(place), *map(Path, folders)]
        files = [each for one in found for each in sorted(one.iterdir())]
        logs = [each for each in files if {".xes", ".csv"} & {*each.suffixes}]
        counts = {file.name: (by_us(file), by_pm4py(file)) for file in logs}
    for name, (ours, theirs) in counts.items():
        print(f"{name}: {ours} attempts, {theirs} executions counted by PM4Py")
    return int(any(ours != theirs for ours, theirs in counts.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
