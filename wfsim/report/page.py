"""A log, or a study, as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from wfsim.errors import UsageError
from wfsim.model.log import EventLog
from wfsim.report import charts, tables
from wfsim.report.chart import STATUS_COLOURS, status_style
from wfsim.report.grouping import AMOUNTS, StudyFrames, no_study
from wfsim.report.stepping import CSS as STEPPING
from wfsim.report.stepping import stepping
from wfsim.report.text import cells, frame_digest, outcome, shown

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.report.chart import Chart

MOST_ROWS = 1000
"""Of a longer table the page holds the first rows only, and says so."""


class SummedStudy(StudyFrames, Protocol):
    """A study that sums itself up in frames."""

    def summary(self) -> pd.DataFrame:
        """Return one row per point."""
        ...

    def critical(self) -> pd.DataFrame:
        """Return one row per point, flow and step."""
        ...

    def utilisation(self) -> pd.DataFrame:
        """Return one row per point and what may be busy there."""
        ...


MOST_BYTES = 150_000
"""A drawing of more bytes than that is put into the page as pixels."""

COLOURS = 64
"""So many colours those have; a chart has a dozen, and shades at its edges."""

_CSS = """
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --faint: #555;
  --line: #e3e3e3; --rule: #bbb; --shade: #f4f4f4; --warn: #a03000; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1b1b1b; --ink: #e6e6e6; --faint: #a8a8a8; --line: #3a3a3a;
    --rule: #666; --shade: #2b2b2b; --warn: #ff9d6b; }
  /* What is drawn on white is turned round: black is white, and green is green. */
  .wide img { filter: invert(.9) hue-rotate(180deg); }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 1160px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p.outcome { font-size: 1.05rem; }
figure { margin: 0; }
figcaption, footer, p.note { color: var(--faint); font-size: .85rem; }
.wide { overflow-x: auto; }
.wide img { width: 100%; min-width: 640px; height: auto; display: block; }
table { border-collapse: collapse; font-size: .85rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: left;
  border-bottom: 1px solid var(--line); vertical-align: top; }
th { border-bottom: 2px solid var(--rule); }
.n { text-align: right; white-space: nowrap; }
td.s { white-space: nowrap; }
td.l { overflow-wrap: anywhere; min-width: 12rem; }
th { white-space: nowrap; }
figure + .wide { margin-top: 1rem; }
p.answer { font-size: 1.25rem; font-weight: 600; border-left: .3rem solid #009E73;
  padding: .4rem .8rem; margin: .8rem 0; background: #f2faf7; }
.badge { padding: 0 .4rem; border-radius: .5rem; white-space: nowrap; }
.never-fired { background: var(--paper); color: var(--warn);
  border: 1px solid var(--warn); font-weight: bold; }
"""


def page(log: EventLog) -> str:
    """Return the page about *log*; every text is escaped, times are virtual seconds."""
    title = str(log.meta.get("title") or "wfsim run")
    seed = log.meta.get("seed")
    # The name of the flow is in that of the run.
    attempts = tables.steps(log).drop(columns="flow")
    if not attempts["where"].any():
        attempts = attempts.drop(columns="where")
    end = log.records[-1].time if log.records else 0.0
    seeded = "" if seed is None else f" · seed {seed}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="outcome">{html.escape(outcome(log))}</p>',
        f'<p class="note">{len(log):,} records over {shown(end)} s of virtual time'
        f"{html.escape(seeded)} · digest {log.digest()} · all times in seconds</p>",
        *_notices(log),
        _section("Summary", _table(tables.summary(log), "No flow has run.")),
        _section("Step through it", stepping(log)),
        _section("Steps over time", _picture(charts.gantt(log))),
        _section("Faults", _table(tables.faults(log), "No fault was armed.")),
        _section(
            "States",
            _picture(charts.states(log))
            + _table(tables.states(log), "No resource has a state."),
        ),
        _section("Runs", _table(tables.runs(log), "No flow has run.")),
        _section("Attempts of steps", _table(attempts, "No step has begun.")),
        _section(
            "Latency",
            _picture(charts.latency(log))
            + _table(tables.latency(log), "No step has begun."),
        ),
        _section(
            "Where the time goes",
            _picture(charts.breakdown(log))
            + _table(tables.critical(log), "No step has begun."),
        ),
        _section("Load", _picture(charts.utilisation(log)) + _picture(charts.queue(log))),
    ]
    return _document(title, "\n".join(parts))


def _notices(log: EventLog) -> list[str]:
    """Return the section about what would be noticed too late, if there is something."""
    return [_section("Notices", _table(tables.notices(log), ""))] if log.notices else []


def study_page(study: SummedStudy) -> str:
    """Return the page about *study*; every text is escaped, times are virtual seconds."""
    over = list(study.over)
    title = f"wfsim study over {', '.join(over)}" if over else "wfsim study"
    replications = study.replications
    points = len(replications[over].drop_duplicates()) if over else 1
    summary = study.summary()
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="note">{len(study.runs):,} runs in {len(replications):,} replications '
        f"of {points:,} points · digest {frame_digest(replications)} · "
        "all times in seconds</p>",
        _section("Summary", _table(summary, "Nothing was run.")),
        _section(
            "Time from when a run was called for",
            _picture(charts.ecdf(study, value="total")),
        ),
        _section("Outcomes", _picture(charts.outcomes(study))),
        _section(
            "Where the time goes",
            _picture(charts.breakdown(study))
            + _table(study.critical(), "No step has begun."),
        ),
        _section("Load", _table(study.utilisation(), "No time has passed.")),
    ]
    if len(over) == 2:
        parts.append(
            _section(
                "p95 from when a run was called for",
                _picture(charts.heatmap(summary, over[0], over[1], "total_p95")),
            )
        )
    parts += [
        _section("Convergence", _picture(charts.convergence(study))),
        _section("Replications", _table(replications, "Nothing was run.")),
    ]
    return _document(title, "\n".join(parts))


class DecidedStudy(StudyFrames, Protocol):
    """A study that says what to decide."""

    @property
    def decision(self) -> Callable[..., Any]:
        """What returns question, answer, reasons, points and costs."""
        ...


def decision_page(study: DecidedStudy, objective: str | None, **more: Any) -> str:
    """Return the page about what to decide by *study*; every text is escaped."""
    if not isinstance(study, StudyFrames):
        raise UsageError(no_study(study, "to decide by"))
    decision = study.decision(objective, **more)
    prices, has_prices = decision.cost, "cost" in decision.points.columns
    reasons = "".join(f"<li>{html.escape(each)}</li>" for each in decision.reasons)
    labels = decision.points["label"].tolist()
    estimates = charts.estimates(
        decision.points, decision.measure, decision.limit, chosen=decision.point
    )
    spent = charts.breakdown(study)
    if has_prices:
        spent = charts.costs(
            decision.costs, labels, currency=prices.currency, chosen=decision.point
        )
    table = decision.costs if has_prices else decision.costs[[*study.over, *AMOUNTS]]
    parts = [
        f"<h1>{html.escape(decision.question)}</h1>",
        f'<p class="answer">{html.escape(decision.answer)}</p>',
        _section("How sure that is", f"<ul>{reasons}</ul>{_picture(estimates)}"),
        _section(
            "What it costs",
            f"<p>{html.escape(_priced(prices, has_prices))}</p>"
            f"{_picture(spent)}{_table(table, 'Nothing was run.')}",
        ),
        _section(
            "How long users wait",
            _picture(charts.ecdf(study)) + _table(decision.points, "Nothing was run."),
        ),
        f"<footer><p>Made by wfsim from a study with the digest "
        f"{frame_digest(study.replications)}. Times are seconds of virtual time; a run "
        "that was not done at the end counts in every number.</p></footer>",
    ]
    return _document(decision.question, "\n".join(parts))


def _priced(prices: Any, has_prices: bool) -> str:
    """Say what is paid for what."""
    if not has_prices:
        return (
            "No prices were given: these are seconds of workers and places that were "
            "there, and runs that were not done, on average of a replication."
        )
    said = [f"{prices.worker:g} for a second of a worker"] if prices.worker else []
    said += [
        f"{each:g} for one of a place of {name}" for name, each in prices.places.items()
    ]
    said += [f"{prices.failure:g} for a run that is not done"] if prices.failure else []
    unit = f" {prices.currency}" if prices.currency else ""
    return f"What is paid{unit and f', in{unit}'}: {', '.join(said)}."


def _document(title: str, body: str) -> str:
    badges = "\n".join(
        f".{status} {{ background: {colour}; color: {status_style(status).text}; }}"
        for status, colour in STATUS_COLOURS.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_CSS}{STEPPING}{badges}\n</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{heading}</h2>\n{content}\n</section>"


def _picture(chart: Chart) -> str:
    kind, picture = "svg+xml", chart.svg().encode()
    if len(picture) > MOST_BYTES:
        kind, picture = "png", _fewer_colours(chart.png())
    source = base64.b64encode(picture).decode()
    sentence = html.escape(chart.sentence)
    # A picture that is narrower than others is not blown up.
    width = min(1160, round(116 * float(chart.figure.get_figwidth())))
    sized = f"max-width:{width}px;min-width:{min(640, width)}px"
    return (
        f'<figure><div class="wide"><img alt="{sentence}" style="{sized}" '
        f'src="data:image/{kind};base64,{source}"></div>'
        f"<figcaption>{sentence}</figcaption></figure>"
    )


def _fewer_colours(picture: bytes) -> bytes:
    """Return a PNG with a palette: a third as large, and nobody sees the difference."""
    from PIL import Image  # matplotlib writes its own with it

    file = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(file, "png", optimize=True)
    return file.getvalue()


def _table(frame: pd.DataFrame, if_empty: str) -> str:
    if frame.empty:
        return f'<p class="note">{if_empty}</p>'
    head = "".join(
        f"<th{' class=n' * number}>{html.escape(str(name))}</th>"
        for name, number in zip(frame.columns, _numbers(frame), strict=True)
    )
    columns = [
        [
            _cell(name, number, text)
            for text in cells(frame[name].head(MOST_ROWS).tolist())
        ]
        for name, number in zip(frame.columns, _numbers(frame), strict=True)
    ]
    rows = "\n".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    cut = len(frame) > MOST_ROWS
    note = f'<p class="note">The first {MOST_ROWS:,} of {len(frame):,} rows.</p>'
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>{note if cut else ''}"
    )


def _numbers(frame: pd.DataFrame) -> list[bool]:
    return [dtype.kind in "if" for dtype in frame.dtypes]


def _cell(name: Any, number: bool, value: str) -> str:
    text = html.escape(value)
    if number:
        return f"<td class=n>{text}</td>"
    if name == "status":
        badge = text.replace(" ", "-")
        return f'<td><span class="badge {badge}">{text}</span></td>'
    long = len(text) > 32 and name != "step"
    return f"<td class={'l' if long else 's'}>{text}</td>"
