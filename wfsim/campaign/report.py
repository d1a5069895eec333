"""What a campaign has come to: as text, HTML, JSON and frames."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any

from wfsim.campaign.failure import Failure
from wfsim.campaign.lab import Outcome
from wfsim.campaign.sites import Site

if TYPE_CHECKING:
    import pandas as pd


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
    without: tuple[str, ...]
    but: tuple[str, ...]
    interrupted: bool
    failures: list[Failure] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many points were planned, ran, joined, were void, failed."""
        how = Counter(outcome.how for outcome in self.outcomes)
        failed = sum(bool(outcome.violations) for outcome in self.outcomes)
        shown = {name: how[name] for name in ("ran", "joined", "void")}
        return {"planned": self.planned, **shown, "failed": failed}

    @property
    def sites(self) -> pd.DataFrame:
        """One row a write of the calm run.

        Columns: ``site, resource, run, step, kind`` (str), ``attempt, write`` (int),
        ``time`` (float, seconds), ``points, failed`` (int).
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
                "points": hits[site.name],
                "failed": bad[site.name],
            }
            for site in self.listed
        ]
        return pd.DataFrame(rows)

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

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        return {
            "title": self.title,
            "counts": self.counts,
            "interrupted": self.interrupted,
            "without": list(self.without),
            "may_differ": list(self.but),
            "never": dict(self.never),
            "sites": [site._asdict() for site in self.listed],
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

    def __repr__(self) -> str:
        counts = self.counts
        run = sum(counts[name] for name in ("ran", "joined", "void"))
        lines = [
            f"{self.title}: {len(self.listed)} writes, {run} of {counts['planned']} "
            f"points: {counts['ran']} ran to their end, {counts['joined']} joined the "
            f"calm run, {counts['void']} were void; {counts['failed']} failed, for "
            f"{len(self.failures)} reason{'' if len(self.failures) == 1 else 's'}"
        ]
        if self.interrupted:
            lines[0] += " (cut short by Ctrl-C)"
        for failure in self.failures:
            lines.append(f"- {failure.said} ({len(failure.points)} points)")
            lines += [f"    {line}" for line in failure.plan.splitlines()]
            if not failure.is_replayed:
                lines.append("    run from the start it does not fail so: report this")
        lines += [f"never: {name}: {why}" for name, why in self.never.items()]
        lines += [f"not asked: {name}" for name in self.without]
        lines += [f"may differ: {path}" for path in self.but]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """Return counts, the matrix of faults by steps, and the failures with plans."""
        cells = self.matrix()
        steps = list(dict.fromkeys(step for _, step in cells))
        faults = list(dict.fromkeys(fault for fault, _ in cells))
        head = "".join(f"<th>{escape(step)}</th>" for step in steps)
        body = ""
        for fault in faults:
            body += f"<tr><th>{escape(fault)}</th>"
            for step in steps:
                count, failed = cells.get((fault, step), (0, 0))
                colour = "#d55e00" if failed else "#b7dfc8" if count else "#eee"
                shown = f"{failed} of {count}" if failed else count or ""
                body += f'<td style="background:{colour};color:#111">{shown}</td>'
            body += "</tr>"
        failures = "".join(
            f"<details open><summary>{escape(failure.said)} ({len(failure.points)} "
            f"points)</summary><pre>{escape(failure.plan)}</pre></details>"
            for failure in self.failures
        )
        said = escape(repr(self).split("\n")[0])
        never = "".join(
            f"<li>{escape(name)}: {escape(why)}</li>" for name, why in self.never.items()
        )
        return (
            f"<p>{said}</p>{failures}<table><tr><th></th>{head}</tr>{body}</table>"
            f"<p>Never:</p><ul>{never}</ul>"
        )
