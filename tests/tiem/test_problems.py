"""What `tiem.problems` says: nothing where all is well, and each difference in words."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import tiem
from tests.tiem.begun import begun

LEFT = {
    # As in the reference, its slaves are left as they are.
    "DeleteCluster": [
        "cluster-2: takes no writes, though it has no master",
        "cluster-3: takes no writes, though it has no master",
    ],
    # As in the reference, this one moves no feeds.
    "SwitchoverForceWithMasterUnavailable": [
        "cluster-1: does not answer",
        "cluster-1: its master cluster-2 does not feed it",
        "cluster-3: its master cluster-2 does not feed it",
    ],
}


@pytest.mark.parametrize("flow", tiem.CALLERS)
def test_a_flow_that_goes_well_leaves_the_world_as_the_books_say(flow):
    assert tiem.problems(begun(flow).ended().world) == LEFT.get(flow, [])


def change(what: str, **values: object):
    """Set values of the thing at the place *what* of a world."""

    def make(world: tiem.TiemWorld) -> None:
        thing: object = world
        for name in what.split("."):
            thing = thing[name] if isinstance(thing, dict) else getattr(thing, name)
        for name, value in values.items():
            setattr(thing, name, value)

    return make


TIKV = "clusters.cluster-1.instances.cluster-1-tikv-1"
WRONG = [
    (change("clusters.cluster-1", binary="v5.3.0"), "the version is v5.3.0, not v5.4.0"),
    (change("clusters.cluster-1", binary=""), "the version is none, not v5.4.0"),
    (change("clusters.cluster-1", status="Failure"), "is Failure"),
    (change("clusters.cluster-1", maintenance="Stopping"), "is locked: Stopping"),
    (change("clusters.cluster-1", reachable=False), "does not answer"),
    (change("clusters.cluster-1", healthy=False), "a region lacks a replica"),
    (change("clusters.cluster-1", parameters={"a": 1}), "a is None, not 1"),
    (change("clusters.cluster-1", topology=""), "the topology lacks some of its inst"),
    (change("clusters.cluster-1", saved_gc_life=1.0), "the GC life is 600 s, not 1 s"),
    (change("clusters.cluster-1", saved={"1-A": {}}), "is being changed by 1-A"),
    (change("clusters.cluster-1", read_only=True), "takes no writes, though"),
    (change("clusters.cluster-1", master="x"), "its master x is gone"),
    (change("clusters.cluster-2", status="Stopped"), "is up, though it is Stopped"),
    (change("feeds.feed-cluster-1-cluster-2", status="Error"), "does not feed it"),
    (change(TIKV, up=False), "does not answer"),
    (change(TIKV, deployed=False), "cluster-1-tikv-1 is not deployed"),
    (change(TIKV, host=""), "cluster-1-tikv-1 has no host"),
    (change(TIKV, host="host-9"), "cluster-1-tikv-1 is on host-9, which is gone"),
    (change(TIKV, status="Stopped"), "cluster-1-tikv-1 is Stopped, not Running"),
    (change(TIKV, store="Offline"), "cluster-1-tikv-1 is a store that is Offline"),
    (change("hosts.host-1", reachable=False), "host-1: cannot be reached"),
    (change("hosts.host-1", status="Failed"), "host-1: is Failed"),
    (change("hosts.host-1", capacity=3), "host-1: has no room for 2 of what is on it"),
    (change("hosts.host-1", logs=["x"]), "host-1: collects logs of x, which is gone"),
]


@pytest.mark.parametrize(("make", "text"), WRONG)
def test_every_difference_between_books_and_world_is_complained_of(make, text):
    world = tiem.world()
    assert tiem.problems(world) == []
    make(world)
    found = tiem.problems(world)
    assert any(text in each for each in found), found


def test_the_problems_of_one_cluster_are_asked_for_by_its_name():
    world = tiem.world()
    world.clusters["cluster-1"].binary = ""
    assert tiem.problems(world, "cluster-2") == []
    assert tiem.problems(world, "cluster-1") == [
        "cluster-1: the version is none, not v5.4.0"
    ]
    with pytest.raises(wfsim.UsageError, match="there is no cluster cluster-9"):
        tiem.problems(world, "cluster-9")
