"""The report of a campaign: as text, HTML, JSON and frames."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any

from wfsim.campaign.failure import Failure
from wfsim.campaign.lab import Outcome
from wfsim.report.text import count
from wfsim.sim.sites import Site

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from wfsim.report.chart import Chart


_WHO = ("controller", "token", "resource", "run", "step", "attempt")
_WHAT = ("key", "input", "answer", "error")

SHOWN = 6
"""So many states and transitions that were never reached are told by name."""


@dataclass
class Report:
    """What ran, what joined the calm run, what was void, what failed and why.

    *never* says of each kind of fault that applies nowhere why that is so.
    """

    title: str
    listed: tuple[Site, ...]
    outcomes: tuple[Outcome, ...]
    planned: int
    never: Mapping[str, str]
    without: Mapping[str, str]
    but: tuple[str, ...]
    interrupted: bool
    failures: list[Failure] = field(default_factory=list)
    edges: tuple[tuple[str, str, str], ...] = ()
    moves: frozenset[tuple[str, str, str]] = frozenset()
    pruned: Mapping[str, str] = field(default_factory=dict)
    """Why a view of the past, a missed event or a pre-emption is not tried, by name."""
    sometimes: Mapping[str, int] = field(default_factory=dict)
    """In how many runs was true what is to be so sometimes, by name."""
    reasons: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why a kind of fault is at no site of a step, by both ("-": between steps)."""

    @property
    def counts(self) -> dict[str, int]:
        """How many points were planned, ran, joined, were void, failed."""
        how = Counter(outcome.how for outcome in self.outcomes)
        failed = sum(bool(outcome.violations) for outcome in self.outcomes)
        shown = {name: how[name] for name in ("ran", "joined", "void")}
        return {"planned": self.planned, **shown, "failed": failed}

    @property
    def sites(self) -> pd.DataFrame:
        """One row a site of the calm run: a write, a call of the world, a wait, a timer.

        Columns: ``site, resource, run, step, kind`` (str), ``attempt, write`` (int; 0
        for what is no write), ``time, lasts`` (float, seconds), ``points, failed`` (int).
        """
        import pandas as pd

        hits = Counter(o.point.site for o in self.outcomes)
        bad = Counter(o.point.site for o in self.outcomes if o.violations)
        rows = [
            {
                "site": site.name,
                "resource": site.resource,
                "run": site.run,
                "step": site.step,
                "attempt": site.attempt,
                "kind": site.kind,
                "time": site.time,
                "write": site.write,
                "lasts": site.lasts,
                "points": hits[site.name],
                "failed": bad[site.name],
            }
            for site in self.listed
        ]
        return pd.DataFrame(rows)

    @property
    def calls(self) -> pd.DataFrame:
        """One row a call of the world in the calm run that changed it or raised an error.

        Columns: ``site, controller, resource, run, step, call, key, input, answer,
        error`` (str), ``time`` (float, seconds), ``token, attempt`` (int).
        """
        import pandas as pd

        rows = []
        for site in self.listed:
            if site.call is None:
                continue
            call, named = site.call, {"site": site.name, "time": site.time}
            own = {name: getattr(site, name) for name in _WHO}
            what = {name: getattr(call, name) for name in _WHAT}
            rows.append({**named, **own, "call": call.what, **what})
        return pd.DataFrame(rows, columns=["site", "time", *_WHO, "call", *_WHAT])

    @property
    def points(self) -> pd.DataFrame:
        """One row a point: ``site, fault, step, how, invariant, text`` (str), ``extra``.

        *extra* is how many seconds later than the calm run it ended; NaN if it joined.
        """
        import pandas as pd

        rows = [
            {
                "site": o.point.site,
                "fault": o.point.fault,
                "step": o.point.step,
                "how": o.how,
                "extra": o.extra if o.how == "ran" else float("nan"),
                "invariant": o.violations[0].invariant if o.violations else "",
                "text": o.violations[0].text if o.violations else "",
            }
            for o in self.outcomes
        ]
        columns = ["site", "fault", "step", "how", "extra", "invariant", "text"]
        return pd.DataFrame(rows, columns=columns)

    def matrix(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return by fault and step how many points there were, and how many failed."""
        cells: dict[tuple[str, str], tuple[int, int]] = {}
        for outcome in self.outcomes:
            cell = (outcome.point.fault, outcome.point.step or "-")
            count, failed = cells.get(cell, (0, 0))
            cells[cell] = (count + 1, failed + bool(outcome.violations))
        return cells

    def chart(self, ax: Axes | None = None) -> Chart:
        """Draw which fault at which site came to what, as a heat map."""
        from wfsim.campaign.chart import heat_map

        return heat_map(self.points, [site.name for site in self.listed], ax)

    @property
    def coverage(self) -> pd.DataFrame:
        """One row for whatever could be reached, how often it was.

        ``what`` (state, transition, site, step or fault; str), ``name`` (str) and
        ``reached`` (int): in how many runs, the calm one among them, a state or a
        transition of a state graph was seen; how many points there were at a site or in
        a step, or of a fault.  What joined the calm run counts as that does.
        """
        import pandas as pd

        rows = [*self._moved(), *self._pointed()]
        return pd.DataFrame(rows, columns=["what", "name", "reached"])

    def _moved(self) -> Iterator[tuple[str, str, int]]:
        seen = Counter(move for o in self.outcomes for move in o.moves)
        calm = 1 + len(self.outcomes) - sum(o.how == "void" for o in self.outcomes)
        seen.update(dict.fromkeys(self.moves, calm))
        entered: Counter[str] = Counter()
        for (_, _, target), times in seen.items():
            entered[target] = max(entered[target], times)
        for _, source, _ in self.edges:
            entered.setdefault(source, calm if source == "Creating" else 0)
        for state in dict.fromkeys(s for edge in self.edges for s in edge[1:]):
            yield "state", state, entered[state]
        for kind, source, target in self.edges:
            # An empty state is read as this one.
            sources = (source, "") if source == "Creating" else (source,)
            times = sum(seen[kind, each, target] for each in sources)
            yield "transition", f"{source} -> {target}", times

    def _pointed(self) -> Iterator[tuple[str, str, int]]:
        points = [o.point for o in self.outcomes if o.how != "void"]
        sites = Counter(point.site for point in points)
        for site in self.listed:
            yield "site", site.name, sites[site.name]
        steps = Counter(point.step for point in points)
        for step in dict.fromkeys(site.step for site in self.listed if site.step):
            yield "step", step, steps[step]
        faults = Counter(point.fault for point in points)
        for fault in dict.fromkeys((*faults, *self.never)):
            yield "fault", fault, faults[fault]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        return {
            "title": self.title,
            "counts": self.counts,
            "interrupted": self.interrupted,
            "without": dict(self.without),
            "sometimes": dict(self.sometimes),
            "pruned": dict(self.pruned),
            "may_differ": list(self.but),
            "never": dict(self.never),
            "coverage": [*self._moved(), *self._pointed()],
            "reasons": [[*cell, why] for cell, why in self.reasons.items()],
            "sites": [
                {**site._asdict(), "call": site.call.name if site.call else ""}
                for site in self.listed
            ],
            "points": [
                {
                    "site": o.point.site,
                    "fault": o.point.fault,
                    "how": o.how,
                    "violations": [v._asdict() for v in o.violations],
                }
                for o in self.outcomes
            ],
            "failures": [
                {
                    "cause": failure.cause,
                    "invariant": failure.violation.invariant,
                    "text": failure.violation.text,
                    "record": failure.violation.seq,
                    "plan": failure.plan,
                    "points": len(failure.points),
                    "replayed": failure.is_replayed,
                }
                for failure in self.failures
            ],
        }

    def to_json(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def digest(self) -> str:
        """Return a digest of all of it, the same wherever and whenever it was run."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return sha256(text.encode()).hexdigest()

    def to_junit(self) -> str:
        """Return all of it as JUnit XML: a case for each fault in each step.

        What fails has its smallest plan and the explanation; what never applied is
        skipped, with the reason.
        """
        from xml.etree import ElementTree

        cells = self.matrix()
        failed = sum(bool(bad) for _, bad in cells.values())
        suite = ElementTree.Element(
            "testsuite",
            {
                "name": self.title,
                "tests": str(len(cells) + len(self.never)),
                "failures": str(failed),
                "skipped": str(len(self.never)),
            },
        )

        def case(name: str) -> ElementTree.Element:
            named = {"classname": self.title, "name": name}
            return ElementTree.SubElement(suite, "testcase", named)

        for fault, step in cells:
            where = f"in {step}" if step != "-" else "between steps"
            row = case(f"{fault} {where}")
            for failure in self.failures:
                if failure.is_by(fault, step):
                    about = {"message": failure.said, "type": failure.cause}
                    text = "\n".join([failure.plan, *failure.story]).strip()
                    ElementTree.SubElement(row, "failure", about).text = text
        for name, why in self.never.items():
            ElementTree.SubElement(case(name), "skipped", {"message": why})
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)

    def __repr__(self) -> str:
        counts = self.counts
        run = sum(counts[name] for name in ("ran", "joined", "void"))
        lines = [
            f"{self.title}: {len(self.listed)} sites, {run} of {counts['planned']} "
            f"points: {counts['ran']} ran to their end, {counts['joined']} joined the "
            f"calm run, {counts['void']} were void; {counts['failed']} failed, for "
            f"{len(self.failures)} reason{'' if len(self.failures) == 1 else 's'}"
        ]
        if self.interrupted:
            lines[0] += " (cut short by Ctrl-C)"
        for failure in self.failures:
            points = count(len(failure.points), "point")
            lines.append(f"- {failure.said} ({points})")
            lines += [f"    {line}" for line in failure.plan.splitlines()]
            lines += [f"    {line}" for line in failure.story]
            if not failure.is_replayed:
                lines.append("    run from the start it does not fail so: report this")
        unseen = self._unseen()
        if unseen:
            few, more = ", ".join(unseen[:SHOWN]), len(unseen) - SHOWN
            left = f" and {more} more, see coverage" if more > 0 else ""
            lines.append(f"never reached: {few}{left}")
        lines += [f"never: {name}: {why}" for name, why in self.never.items()]
        lines += [
            f"not asked: {name}{f': {why}' if why else ''}"
            for name, why in self.without.items()
        ]
        lines += [
            f"never so: {name}" for name, runs in self.sometimes.items() if not runs
        ]
        lines += [f"may differ: {path}" for path in self.but]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.to_html()

    def _unseen(self) -> list[str]:
        return [f"{what} {name}" for what, name, times in self._moved() if not times]

    def to_html(self) -> str:
        """Return counts, heat map, the failures with plans, and the matrix of faults.

        A cell that fails leads to the smallest plan, below.
        """
        chart = self.chart()
        said = escape(repr(self).split("\n")[0])
        never = {**self.never, **dict.fromkeys(self._unseen(), "no run came there")}
        left = "".join(
            f"<li>{escape(name)}: {escape(why)}</li>" for name, why in never.items()
        )
        return (
            f"<p>{said}</p>{chart._repr_html_()}{''.join(self._details())}"
            f"<table>{''.join(self._rows())}</table><p>Never:</p><ul>{left}</ul>"
        )

    def _details(self) -> Iterator[str]:
        for number, failure in enumerate(self.failures, start=1):
            points = count(len(failure.points), "point")
            said = escape(f"{failure.said} ({points})")
            told = f"<pre>{escape(chr(10).join(failure.story))}</pre>"
            plan = ", ".join(f"wfsim.{fault!r}" for fault in failure.faults)
            line = escape(f"wfsim.simulate(scenario, [{plan}], seed={failure.seed})")
            yield (
                f'<details open id="plan-{number}"><summary>{said}</summary>'
                f"<pre>{escape(failure.plan)}</pre>{told}<p><code>{line}</code></p>"
                "</details>"
            )

    def _rows(self) -> Iterator[str]:
        cells = self.matrix()
        steps = list(dict.fromkeys(step for _, step in cells))
        yield f"<tr><th></th>{''.join(f'<th>{escape(step)}</th>' for step in steps)}</tr>"
        for fault in dict.fromkeys(fault for fault, _ in cells):
            row = "".join(self._cell(fault, step, cells) for step in steps)
            yield f"<tr><th>{escape(fault)}</th>{row}</tr>"

    def _cell(
        self, fault: str, step: str, cells: Mapping[tuple[str, str], tuple[int, int]]
    ) -> str:
        points, failed = cells.get((fault, step), (0, 0))
        colour = "#d55e00" if failed else "#b7dfc8" if points else "#eee"
        shown = str(points or "")
        for number, failure in enumerate(self.failures, start=1):
            if failure.is_by(fault, step):
                plan = escape(failure.plan, quote=True)
                shown = (
                    f'<a href="#plan-{number}" title="{plan}">{failed} of {points}</a>'
                )
                break
        return f'<td style="background:{colour};color:#111">{shown}</td>'
