"""A resource: a value with a name, its annotations, and what they ask for."""

import pickle

import pytest

import wfsim
from wfsim.errors import DefinitionError
from wfsim.model.bounds import mapped
from wfsim.model.frozen import Frozen
from wfsim.model.resource import PRIORITY

ORDERS = wfsim.Resource("db", "orders", spec={"size": 3})


@pytest.mark.parametrize(
    ("text", "priority"),
    [("-1", -1.0), ("2.5", 2.5), ("1e3", 1000.0), ("first", 0.0), ("nan", 0.0)],
)
def test_a_priority_is_a_number_and_anything_else_is_none(text, priority):
    assert ORDERS.annotate(**{PRIORITY: text}).priority == priority
    assert ORDERS.priority == 0.0


def test_a_resource_is_copied_with_other_fields_and_with_no_others():
    assert ORDERS._replace(name="users").name == "users"
    with pytest.raises(ValueError, match=r"unexpected field names.*nmae"):
        ORDERS._replace(nmae="users")


def test_what_a_store_has_frozen_survives_the_way_to_another_process():
    spec = Frozen(size=3)
    twin = pickle.loads(pickle.dumps(ORDERS._replace(spec=spec)))
    assert twin.spec == spec
    with pytest.raises(TypeError):
        twin.spec["size"] = 4


def test_what_is_mapped_by_name_is_a_mapping():
    assert mapped({"a": 1}, "pools") == {"a": 1}
    with pytest.raises(DefinitionError, match=r"pools is \[1\]; give a mapping by name"):
        mapped([1], "pools")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (wfsim.Flow("F", (wfsim.Step("A"), wfsim.Step("B", duration=2))), "B  2"),
        (wfsim.Scenario.of_flow(wfsim.Flow("F", (wfsim.Step("A"),))), "resource-0"),
    ],
)
def test_a_value_shows_itself_in_a_notebook(value, words):
    page = value._repr_html_()
    assert words in page
    assert page.startswith("<pre")


def test_a_memento_shows_its_steps_and_what_to_do_with_it():
    flow = wfsim.Flow("F", (wfsim.Step("A"),))
    log = wfsim.simulate(wfsim.Scenario.of_flow(flow))
    (memento,) = log.fold().mementos.values()
    page = memento._repr_html_()
    assert "1 of 1 steps completed" in page
    assert "wfsim.Simulation.resume(scenario, [memento])" in page
