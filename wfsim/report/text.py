"""Texts of reports: numbers and names, how a log ended, files written whole.

Nothing here imports pandas when it is imported: the command line and the cache of a
sweep use it before they need any table.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfsim.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.model.log import EventLog, HasLog


def plain(text: str, most: int = 44) -> str:
    """Return *text* on one line, cut in its middle, and never read as a formula."""
    line = " ".join(text.split())
    if len(line) > most:
        half = (most - 1) // 2
        line = f"{line[:half]}…{line[-half:]}"
    return line.replace("$", r"\$")


def distinct(texts: Sequence[str]) -> list[str]:
    """Return *texts* as `plain` ones, cut less if they could not be told apart.

    >>> distinct(["a" * 50 + "b" + "c" * 50, "a" * 50 + "d" + "c" * 50])[0][50]
    'b'
    """
    short = [plain(text) for text in texts]
    if len(set(short)) == len(set(texts)):
        return short
    return [plain(text, 120) for text in texts]


def count(number: int, noun: str, plural: str = "") -> str:
    """Return *number* with its *noun*.

    >>> count(1, "run"), count(12000, "run"), count(0, "crash", "crashes")
    ('1 run', '12,000 runs', '0 crashes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def seconds(number: float) -> str:
    """Return *number* of seconds, to a tenth.

    >>> seconds(77), seconds(float("nan"))
    ('77.0 s', 'unknown')
    """
    return "unknown" if math.isnan(number) else f"{number:,.1f} s"


def percent(share: float, decimals: int = 1) -> str:
    """Return *share* of one in per cent; only none is 0 %, and only all are 100 %.

    >>> percent(0.5), percent(0.9996), percent(0.0001), percent(1.0), percent(-0.0001)
    ('50.0%', '>99.9%', '<0.1%', '100.0%', '-<0.1%')
    >>> percent(0.9999, 0), percent(0.25, 0)
    ('>99%', '25%')
    """
    if math.isnan(share):
        return "unknown"
    if share < 0.0:
        return f"-{percent(-share, decimals)}"
    text, least = f"{share:.{decimals}%}", 10.0**-decimals
    if share < 1.0 and text == f"{1:.{decimals}%}":
        return f">{100.0 - least:.{decimals}f}%"
    if share > 0.0 and text == f"{0:.{decimals}%}":
        return f"<{least:.{decimals}f}%"
    return text


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts *name* as a person would, numbers by their value.

    >>> sorted(["db-10", "db-2", "db"], key=natural)
    ['db', 'db-2', 'db-10']
    """
    parts = re.split(r"([0-9]+)", name)
    return tuple((int(p), "") if p.isdecimal() else (-1, p) for p in parts if p)


def frame_digest(*frames: pd.DataFrame) -> str:
    """Return eight hex digits of the columns and values of *frames*.

    Floats count to nine digits.  Neither the version of pandas nor its dtypes for text
    matter.
    """
    digest = hashlib.blake2b(digest_size=4)
    for frame in frames:
        for name in frame.columns:
            values = [_canonical(value) for value in frame[name].tolist()]
            digest.update(json.dumps([str(name), values], ensure_ascii=True).encode())
    return digest.hexdigest()


def _canonical(value: Any) -> str:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{value + 0.0:.9g}"
    return str(value)


def check_folder(path: str | Path, what: str) -> Path:
    """Return *path*; raise `UsageError`, naming *what* it is for, if it can be no folder.

    Nothing is made.
    """
    target = Path(path)
    there = next((each for each in (target, *target.parents) if each.exists()), None)
    if there is not None and not (there.is_dir() and os.access(there, os.W_OK)):
        wrong = "cannot be written to" if there.is_dir() else "is a file"
        raise UsageError(f"{what}: {there} {wrong}; give another folder")
    return target


def write(path: str | Path, content: str | bytes) -> Path:
    """Write *content* to *path* by way of a draft, so that no reader sees half of it.

    Raises `UsageError` if it cannot be written there.
    """
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{target} is a folder; give the name of a file in it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}.part")
        if isinstance(content, str):
            # Half a character cannot be encoded; a report says so rather than fails.
            content = content.encode("utf-8", "backslashreplace")
        draft.write_bytes(content)
        draft.replace(target)
    except OSError as error:
        why = error.strerror or error
        text = f"{target}: cannot be written: {why}; give another file"
        raise UsageError(text) from None
    return target


def write_json(path: str | Path, value: Any) -> Path:
    """Write *value* to *path* as JSON; what is half a character is written as U+FFFD."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return write(path, whole)


def cells(values: Iterable[Any]) -> list[str]:
    """Return *values* of one column as texts, their numbers with equally many decimals.

    >>> cells([12.5, 3.0, float("nan"), 0.0625]), cells([1.0, 2000.0]), cells(["x", 1])
    (['12.500', '3.000', '', '0.062'], ['1', '2,000'], ['x', '1'])
    """
    values = list(values)
    texts = [shown(value) for value in values]
    pairs = zip(values, texts, strict=True)
    if not any(isinstance(value, float) and "." in text for value, text in pairs):
        return texts
    return [
        f"{value:,.3f}" if isinstance(value, float) and text else text
        for value, text in zip(values, texts, strict=True)
    ]


def shown(value: Any) -> str:
    """Return *value* as a cell of a printed table: a number to a thousandth.

    >>> shown(12.5), shown(3.0), shown(1234567.0001), shown(float("nan")), shown(True)
    ('12.5', '3', '1,234,567', '', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if math.isnan(value):
        return ""
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def outcome(log: EventLog | HasLog) -> str:
    """Return in a sentence or two how the runs ended and where the resources stand.

    >>> from wfsim.model.log import EventLog
    >>> outcome(EventLog())
    'No flow has run.'
    """
    from wfsim.model.log import log_of
    from wfsim.report import tables
    from wfsim.report.history import outages

    log = log_of(log)
    runs, faults = tables.runs(log), tables.faults(log)
    sentences = (
        [_run_sentence(run) for run in runs.itertuples()] if len(runs) <= 3 else []
    )
    if len(runs) > 3:
        counts = Counter(map(str, runs["status"].tolist()))
        ended = ", ".join(f"{times:,} {status}" for status, times in counts.items())
        sentences.append(f"{len(runs):,} runs: {ended}.")
    elif not sentences:
        sentences.append("No flow has run.")
    moves = tables.states(log)
    last = dict(zip(map(str, moves["resource"]), map(str, moves["after"]), strict=True))
    if 0 < len(last) <= 3:
        stands = (f"{name} is {state or 'deleted'}" for name, state in last.items())
        sentences.append(f"{', '.join(stands)}.")
    if any(math.isinf(outage.until) for outage in outages(log)):
        sentences.append("No controller is up.")
    silent = int((faults["status"] == "never fired").sum())
    if silent:
        sentences.append(f"{silent} of {len(faults)} faults never fired.")
    return " ".join(sentences)


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
