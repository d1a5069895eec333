"""The door: few names, each loaded when it is first used, the same for type checkers."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import wfsim

NAMESPACES = ["clock", "demand", "errors", "replay", "testing", "types"]
ROOT = Path(wfsim.__file__).parents[1]


def test_the_door_has_at_most_60_names():
    assert len(wfsim.__all__) <= 60
    assert list(wfsim.__all__) == sorted(set(wfsim.__all__))
    assert sorted({*dir(wfsim)} - {*wfsim.__all__}) == NAMESPACES


@pytest.mark.parametrize("module", ["wfsim", "wfsim.testing", "wfsim.types"])
def test_what_type_checkers_see_is_what_there_is(module):
    homes = wfsim.opened(module)
    assert {*import_module(module).__all__} == {*homes} - {*NAMESPACES}
    for name, home in homes.items():
        there = getattr(import_module(module), name)
        if isinstance(there, type(wfsim)):
            assert there is import_module(f"{home}.{name}")
        else:
            assert there is getattr(import_module(home), name), name


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_what_stands_behind_the_door_is_not_at_the_door_too(namespace):
    names = getattr(import_module(f"wfsim.{namespace}"), "__all__", ())
    assert {*names} & {*wfsim.__all__} == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Conflict", wfsim.RefuseWrite),
        ("ServiceError", wfsim.errors.ServiceError),
        ("Trigger", wfsim.demand.Trigger),
        ("Key", wfsim.types.Key),
        ("VirtualClock", wfsim.clock.VirtualClock),
    ],
)
def test_a_name_of_the_version_before_works_and_tells_the_new_one(old, new):
    with pytest.warns(DeprecationWarning, match=rf"wfsim\.{old} is called wfsim\."):
        assert getattr(wfsim, old) is new


def test_every_old_name_leads_somewhere():
    for old in wfsim._RENAMED:
        with pytest.warns(DeprecationWarning, match=re.escape(wfsim._RENAMED[old])):
            getattr(wfsim, old)


def test_a_name_that_there_is_not_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match="module 'wfsim' has no attribute 'Simulaton'"
    ):
        _ = wfsim.Simulaton
    with pytest.raises(AttributeError, match=r"module 'wfsim\.types' has no"):
        _ = wfsim.types.Simulation
