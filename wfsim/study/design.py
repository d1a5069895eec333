"""Designs: points that fill a space, for what a full grid would be too large for.

A parameter is given as ``(low, high)``, any number between them; as a ``range``, whole
numbers; or as a list of values to choose from.  Designs are seeded: the same call gives
the same points.

>>> design = latin({"mtbf": (60, 3600), "replicas": range(1, 4)}, 3, seed=1)
>>> sorted(row["replicas"] for row in design.rows)
[1, 2, 3]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.errors import UsageError
from wfsim.study.execution import library

if TYPE_CHECKING:
    from collections.abc import Iterable


class Axis(NamedTuple):
    """The values that a parameter may have; *levels* instead of a range from *low*."""

    name: str
    low: float
    high: float
    levels: tuple[Any, ...] = ()

    def at(self, share: float) -> Any:
        """Return the value that a *share* (from 0 to 1) of all lies below."""
        if self.levels:
            return self.levels[min(int(share * len(self.levels)), len(self.levels) - 1)]
        return self.low + share * (self.high - self.low)


class Design:
    """The points of a design, *rows*, each a mapping; *kind* says how they were made."""

    def __init__(
        self, kind: str, axes: Sequence[Axis], rows: Iterable[Mapping[str, Any]]
    ) -> None:
        self.kind = kind
        self.axes = tuple(axes)
        self.rows = tuple(dict(row) for row in rows)

    def __repr__(self) -> str:
        names = ", ".join(axis.name for axis in self.axes)
        return f"<Design {self.kind} of {names}: {len(self.rows)} points>"

    def __len__(self) -> int:
        return len(self.rows)


def latin(over: Mapping[str, Any], n: int, *, seed: int = 0) -> Design:
    """Return a Latin hypercube of *n* points: each has a slice of each axis for itself.

    McKay, Beckman and Conover (1979), by `scipy.stats.qmc.LatinHypercube`.  Raises
    `UsageError`, also if scipy (the extra ``study``) is not installed.
    """
    axes = _axes(over)
    _check(n)
    sampler = library("scipy.stats.qmc").LatinHypercube(len(axes), seed=seed)
    return _filled("latin", axes, sampler.random(n))


def sobol(over: Mapping[str, Any], n: int, *, seed: int = 0) -> Design:
    """Return *n* points of a scrambled Sobol sequence; *n* must be a power of 2.

    Sobol (1967), Owen's scrambling, by `scipy.stats.qmc.Sobol`: with other numbers of
    points it loses what it is good for.  Raises `UsageError`.
    """
    axes = _axes(over)
    _check(n)
    _check_power(n, "Sobol")
    sampler = library("scipy.stats.qmc").Sobol(len(axes), seed=seed)
    return _filled("sobol", axes, sampler.random(n))


def halton(over: Mapping[str, Any], n: int, *, seed: int = 0) -> Design:
    """Return *n* points of a scrambled Halton sequence, of any length.

    Halton (1960), Owen (2017), by `scipy.stats.qmc.Halton`.  Raises `UsageError`.
    """
    axes = _axes(over)
    _check(n)
    sampler = library("scipy.stats.qmc").Halton(len(axes), seed=seed)
    return _filled("halton", axes, sampler.random(n))


def saltelli(over: Mapping[str, Any], n: int, *, seed: int = 0) -> Design:
    """Return the ``n * (parameters + 2)`` points from which Sobol indices are estimated.

    Saltelli et al. (2010), by `SALib.sample.sobol`, for `Study.sensitivity`; *n* must be
    a power of 2.  Raises `UsageError`, also if SALib (the extra ``study``) is missing.
    """
    axes = _axes(over)
    _check(n)
    _check_power(n, "Saltelli")
    sampler = library("SALib.sample.sobol")
    shares = sampler.sample(problem(axes), n, calc_second_order=False, seed=seed)
    return _filled("saltelli", axes, shares)


def one_at_a_time(over: Mapping[str, Any]) -> Design:
    """Return a base point and two more for each parameter, in which it alone differs.

    *over* has ``(low, base, high)`` for each; this is what `Study.tornado` is made for.
    Raises `UsageError`.
    """
    axes = []
    for name, values in over.items():
        listed = [*values] if isinstance(values, (list, tuple)) else []
        alike = any(one == other for one, other in combinations(listed, 2))
        if len(listed) != 3 or alike:
            raise UsageError(f"{name} is {values!r}; give (low, base, high)")
        axes.append(Axis(name, math.nan, math.nan, tuple(listed)))
    if not axes:
        raise UsageError("no parameters to vary; give at least one")
    base = {axis.name: axis.levels[1] for axis in axes}
    rows = [base]
    for axis in axes:
        rows += [{**base, axis.name: axis.levels[0]}, {**base, axis.name: axis.levels[2]}]
    return Design("one at a time", axes, rows)


def problem(axes: Sequence[Axis]) -> dict[str, Any]:
    """Return what SALib calls *axes* of shares from 0 to 1."""
    return {
        "num_vars": len(axes),
        "names": [axis.name for axis in axes],
        "bounds": [[0.0, 1.0]] * len(axes),
    }


def _filled(kind: str, axes: Sequence[Axis], shares: Any) -> Design:
    rows = (
        {axis.name: axis.at(float(share)) for axis, share in zip(axes, row, strict=True)}
        for row in shares
    )
    return Design(kind, axes, rows)


def _axes(over: Mapping[str, Any]) -> list[Axis]:
    if not isinstance(over, Mapping) or not over:
        raise UsageError(f"a design of {over!r}; give {{'name': (low, high)}}")
    return [_axis(name, values) for name, values in over.items()]


def _axis(name: str, values: Any) -> Axis:
    if isinstance(values, (range, list)) and len(values):
        return Axis(name, math.nan, math.nan, tuple(values))
    if isinstance(values, tuple) and len(values) == 2:
        low, high = values
        numbers = all(type(each) in (int, float) for each in values)
        if numbers and -math.inf < low < high < math.inf:
            return Axis(name, float(low), float(high))
    raise UsageError(
        f"{name} is {values!r}; give (low, high), a range of whole numbers, or a list of "
        "values to choose from"
    )


def _check(n: Any) -> None:
    if type(n) is not int or n < 1:
        raise UsageError(f"a design of {n!r} points; give a whole number from 1 on")


def _check_power(n: int, kind: str) -> None:
    if n & (n - 1):
        near = 2 ** round(math.log2(n))
        raise UsageError(f"a {kind} design with n {n}; give a power of 2, as {near}")
