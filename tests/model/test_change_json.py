"""The text of a change: total over all changes, exact, and checked when it is read."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.changes import OUTPUTS, TEXTS, TIMES, begin, following, new
from wfsim.errors import MementoError
from wfsim.model import change_json, journal, run
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import freeze, is_json
from wfsim.model.journal import Create, Delete, Edit, Move, Prune, Quarantine
from wfsim.model.memento import Quarantined, StepStatus
from wfsim.model.resource import Key, Resource
from wfsim.model.run import (
    Adopt,
    Adoption,
    Begin,
    CancelRun,
    Cause,
    Close,
    Complete,
    CompleteRun,
    Fail,
    FailRun,
    Interrupt,
    Late,
    Launch,
    Recover,
    Run,
    Start,
    Supersede,
    Wait,
)

ORDERS = Key("db", "default", "orders")
FLOW = Flow("Build", (Step("Allot"), Step("Copy"), Step("Open")))
BEGUN = new(FLOW, ORDERS)
BEFORE = Resource("db", "orders", uid="uid-1", revision=1, entered=1)
AFTER = BEFORE.move("Running", "made").annotate(zone="z1")._replace(revision=2)
ADOPTION = Adoption(0, 2, 7, "d1", "uid-1", freeze({"zone": "z2"}), BEGUN)

EACH = [
    Begin(BEGUN),
    Adopt(ADOPTION, Start(0)),
    Adopt(ADOPTION._replace(context=None, migrated=None), CompleteRun()),
    Late(1.5, 3, Complete(0, freeze({"volume": 7, "of": ["a", None, 1.0]}))),
    Late(0, 0, Adopt(ADOPTION, Begin(BEGUN))),
    Recover(from_first_step=True),
    Recover(False, 9.0, frozenset({2, 0}), -1),
    CompleteRun(),
    FailRun("no volume", Cause.TIMEOUT, 2.5),
    CancelRun("by eve"),
    Supersede(),
    Interrupt(1, "POD_LOST", "\ud800", Cause.STEP),
    Start(2),
    Complete(0),
    Launch(1, "op-1", freeze({"of": {}}), 3),
    Wait(1, None),
    Fail(0, "disk full", 1e22),
    Close(0, StepStatus.CANCELLED, "", Cause.CANCEL, None),
    Create(AFTER),
    Move(BEFORE, AFTER),
    Edit(BEFORE, AFTER._replace(deleted=3.0, finalizers=("disk",))),
    Delete(BEFORE),
    Prune(ORDERS, "1-Build"),
    Quarantine(Quarantined("1-Build", ORDERS, "{", "not JSON")),
]


def read(change, name=None, text=None):
    """What the text of *change* is read back as."""
    encoded = change_json.encode(change)
    before = getattr(change, "before", None)
    named = (name or encoded[0], text or encoded[1])
    return change_json.decode(*named, ORDERS, "1-Build", before)


def changes_of(module):
    """Every change that *module* defines."""
    return {
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__
        and dataclasses.is_dataclass(cls)
        and hasattr(cls, "kind")
    }


def test_every_change_has_a_text_and_is_read_back_equal():
    known = {*change_json.OF_RUNS, *change_json.OF_OTHERS}
    assert known == changes_of(run) | changes_of(journal)
    assert known == {type(change) for change in EACH}
    for change in EACH:
        assert repr(read(change)) == repr(change)
        assert read(change) == change


@given(st.data())
def test_whatever_an_engine_can_write_is_read_back_and_leads_to_the_same(data):
    beginning = begin(data.draw, FLOW, ORDERS, 1)
    one, other = (Run("1-Build", ORDERS) for _ in range(2))
    change, time = beginning, 0.0
    for _ in range(data.draw(st.integers(1, 12))):
        again = read(change)
        assert again == change
        change.apply(one, time)
        again.apply(other, time)
        assert one.memento() == other.memento()
        assert read(Begin(one.memento())).memento == one.memento()
        change, time = following(data.draw, one), data.draw(TIMES)
        if change is None:
            return


@given(OUTPUTS, OUTPUTS, st.dictionaries(TEXTS, TEXTS), st.none() | TIMES)
def test_any_resource_is_read_back(spec, status, annotations, deleted):
    resource = AFTER._replace(
        spec=spec, status=status, annotations=freeze(annotations), deleted=deleted
    )
    assume(is_json([spec, status], 100))
    assert read(Create(resource)) == Create(resource)


INTERRUPTED = (
    '{"index":0,"reason":"LOST","error":"","cause":"CAUSE","limit":LIMIT,"where":""}'
).replace("CAUSE", "step")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("Start", "{", "Expecting property name"),
        ("Start", "[]", "not an object with index"),
        ("Start", "{}", "not an object with index"),
        ("Start", '{"index":0,"more":1}', "not an object with index"),
        ("Start", '{"index":true}', "index is true, not a whole number from 0 on"),
        ("Start", '{"index":1e3}', "index is 1000.0, not a whole number"),
        ("Start", '{"index":99999999999999999999}', "index is 9+, not a whole"),
        ("Begun", "{}", "'Begun' is no change that this wfsim knows"),
        ("Begin", "[]", "a memento is an object, not list"),
        ("Begin", "{}", "flowName is null, not a string"),
        ("Complete", '{"index":0,"output":[]}', r"output is \[\], not an object"),
        ("Wait", '{"index":0,"wake":"9"}', 'wake is "9", not a time in seconds'),
        ("Wait", '{"index":0,"wake":1e999}', "1e999 is beyond the range"),
        ("CancelRun", '{"error":3}', "error is 3, not a string"),
        ("Supersede", '{"by":"2"}', "not an object with nothing in it"),
        ("Prune", '{"by":"2"}', "not an object with nothing in it"),
        ("Delete", "{}", "Delete of a resource that was not there"),
        ("Interrupt", INTERRUPTED.replace("LIMIT", "true"), "limit is true"),
        (
            "Interrupt",
            INTERRUPTED.replace("LIMIT", "null").replace("step", "whim"),
            'cause is "whim", not one of nothing, error, timeout, step',
        ),
        ("Late", '{"at":0,"entries":1,"change":["Late"]}', "not a change of a run"),
        ("Late", '{"at":0,"entries":1,"change":["Prune",{}]}', "not a change of a run"),
        ("Late", '{"at":0,"entries":-1,"change":["Start",{"index":0}]}', "entries is -1"),
        ("Adopt", '{"adoption":null,"change":["Start",{"index":0}]}', "adoption is null"),
        (
            "Recover",
            '{"from_first_step":0,"deadline":null,"afresh":[],"entered":null}',
            "from_first_step is 0, not true or false",
        ),
        (
            "Recover",
            '{"from_first_step":true,"deadline":null,"afresh":[-1],"entered":null}',
            "afresh is -1, not a whole number",
        ),
        (
            "Recover",
            '{"from_first_step":true,"deadline":null,"afresh":3,"entered":null}',
            "afresh is 3, not a list",
        ),
        ("Quarantine", '{"text":"{","reason":null}', "reason is null, not a string"),
    ],
)
def test_what_is_wrong_in_a_text_is_named(name, text, why):
    with pytest.raises(ValueError, match=why):
        change_json.decode(name, text, ORDERS, "1-Build")


RESOURCE = change_json.encode(Create(BEFORE))[1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "not an object with state, spec"),
        (RESOURCE.replace('"spec":{}', '"spec":{},"more":1'), "not an object with"),
        (RESOURCE.replace('"spec":{}', '"spec":[]'), r"spec is \[\]"),
        (RESOURCE.replace('"revision":1', '"revision":true'), "revision is true"),
        (RESOURCE.replace("[]", "[1]"), "a finalizer is not a string"),
        (RESOURCE.replace('ions":{}', 'ions":{"a":1}'), "an annotation is not a string"),
        (RESOURCE.replace("null", "1e999"), "1e999 is beyond"),
    ],
)
def test_what_is_wrong_in_a_resource_is_named(text, why):
    with pytest.raises(ValueError, match=why):
        change_json.read_resource(text, ORDERS)


@pytest.mark.parametrize("wake", [float("nan"), float("inf")])
def test_what_json_cannot_hold_has_no_text(wake):
    with pytest.raises(ValueError, match="Out of range float"):
        change_json.encode(Fail(0, "", wake))
    with pytest.raises(TypeError, match="set"):
        change_json.encode(Complete(0, {"a": {1}}))
    with pytest.raises(TypeError, match="what JSON cannot"):
        change_json.encode(Create(BEFORE._replace(spec={"a": {1}})))


def test_an_error_of_a_memento_is_one_of_its_change():
    _, text = change_json.encode(Begin(BEGUN))
    newer = text.replace('"version":1', '"version":9')
    with pytest.raises(ValueError, match="a newer wfsim: version 9") as caught:
        change_json.read_memento(newer, ORDERS, "1-Build")
    assert isinstance(caught.value.__cause__, MementoError)
