"""The data dictionary has every column, record kind and number there is, and no other."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, get_args, get_type_hints

import pytest

import wfsim
from tests.docs import frames, pages
from wfsim.model.bounds import Number
from wfsim.model.duration import _FAMILIES as DISTRIBUTIONS
from wfsim.sim.faults import FAULTS
from wfsim.types import Record

EMPTY = ("", 0, None)
UNITS = {
    *("", "s", "count", "number", "share", "probability", "money"),
    *("measure's", "parameter's", "its own"),  # as what it is about
}
UNITS_OF = {
    "": {""},
    "seconds": {"s"},
    "a whole number": {"count", "number"},
    "a probability": {"share", "probability"},
    "a number": {"share", "times"},
}
"""By what a number is called in an error: the units that it may have."""
STANDS_FOR = {frames.OVER: "{parameter}", "mean": "{measure}", "total": "{measure}"}


DICTIONARY = pages.dictionary()


@pytest.fixture(scope="module")
def made():
    """Every frame by what the dictionary calls it."""
    return {title: frame for make in frames.FRAMES for title, frame in make().items()}


def test_the_dictionary_has_every_frame_and_no_other(made):
    assert sorted(DICTIONARY) == sorted(made), "mend docs/reference/tables.md"


def test_no_frame_stands_in_the_dictionary_twice():
    text = (pages.DOCS / "reference/tables.md").read_text(encoding="utf-8")
    titles = re.findall(r"^### (.+)$", text, re.M)
    assert [title for title in titles if titles.count(title) > 1] == []


@pytest.mark.parametrize("title", DICTIONARY)
def test_a_frame_has_the_columns_of_the_dtypes_that_the_dictionary_says(made, title):
    frame = made[title]
    said = [tuple(row[:2]) for row in DICTIONARY[title]]
    general = {*DICTIONARY[title][0]} | {column for column, _ in said}
    is_text = {"str": "text", "string": "text", "object": "text"}
    columns = []
    for column, dtype in frame.dtypes.items():
        called = STANDS_FOR.get(column, column)
        called = called if called in general else column
        kind = is_text.get(str(dtype), str(dtype))
        columns.append((called, "" if called == "{parameter}" else kind))
    assert columns == said, f"mend {title} in docs/reference/tables.md"


@pytest.mark.parametrize("title", DICTIONARY)
def test_a_column_has_a_unit_and_a_meaning(title):
    for column, dtype, unit, meaning in DICTIONARY[title]:
        assert unit in UNITS, column
        assert meaning, column
        if dtype in ("int64", "float64"):
            assert unit or column in ("seed", "aic"), f"{column}: say in which unit it is"
        else:
            assert not unit, f"{column}: {dtype} has no unit"


# -- kinds of records --------------------------------------------------------------------

KINDS = {
    row[0]: row
    for rows in pages.tables("records.md").values()
    for row in rows
    if len(row) == 4
}
ALWAYS = {"seq", "time", "kind"}


def test_the_dictionary_has_every_kind_of_record_and_no_other():
    assert sorted(KINDS) == sorted(wfsim.Kind), "mend docs/reference/records.md"


def test_the_dictionary_has_every_field_of_a_record():
    fields = {
        word
        for row in pages.tables("records.md")["Record kinds"]
        for word in row[0].replace("`", "").split(", ")
    }
    assert fields == {*Record._fields} - ALWAYS


def test_a_record_has_no_field_that_the_dictionary_denies_its_kind():
    for log in frames.logs():
        for record in log:
            said = {*KINDS[record.kind][3].split(", ")}
            there = {
                name for name in Record._fields if getattr(record, name) not in EMPTY
            }
            assert there - ALWAYS <= said, f"{record}: {there - ALWAYS - said}"


# -- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [wfsim.Policy, wfsim.Retry, wfsim.Polling])
def test_the_dictionary_has_every_number_of_a_policy_with_its_default(kind):
    said = pages.tables("policy.md")[kind.__name__]
    defaults = [[field.name, written(field)] for field in dataclasses.fields(kind)]
    assert [[row[0], row[2]] for row in said] == defaults


@pytest.mark.parametrize("kind", [*FAULTS.values(), wfsim.demand.Rate])
def test_the_dictionary_has_every_argument_of_a_fault_with_its_default(kind):
    said = {row[0]: row[2] for row in pages.tables("faults.md")[kind.__name__]}
    assert said == {field.name: written(field) for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("page", "kind"),
    [("policy.md", kind) for kind in (wfsim.Policy, wfsim.Retry, wfsim.Polling)]
    + [("faults.md", kind) for kind in FAULTS.values()],
)
def test_a_number_is_in_the_unit_that_its_bounds_are_in(page, kind):
    hints = get_type_hints(kind, include_extras=True)
    for name, unit, *_ in pages.tables(page)[kind.__name__]:
        assert unit in UNITS_OF[noun(hints[name])], f"{kind.__name__}.{name}"


def noun(hint: Any) -> str:
    """What the number of an annotation is called in an error; empty for no number."""
    if isinstance(hint, Number):
        return hint.noun
    within = [*get_args(hint), *getattr(hint, "__metadata__", ())]
    return next(filter(None, map(noun, within)), "")


def test_the_dictionary_has_every_fault_and_no_other():
    titles = {
        title
        for title, rows in pages.tables("faults.md").items()
        if rows and title[:1].isupper()
    }
    assert titles - {"Rate", "At a rate"} == {*FAULTS}


def test_the_dictionary_has_every_distribution():
    rows = pages.tables("durations.md")["Durations"]
    assert [row[0] for row in rows] == [*DISTRIBUTIONS]


def written(field: dataclasses.Field[Any]) -> str:
    """The default of a field as the dictionary writes it; empty if it must be given."""
    if field.default is not dataclasses.MISSING:
        return repr(field.default)
    if field.default_factory is dataclasses.MISSING:
        return ""
    value = field.default_factory()
    return f"{type(value).__name__}()" if dataclasses.is_dataclass(value) else "{}"
