"""What every resource store does, as an API server does."""

from __future__ import annotations

import pytest

from wfsim.errors import AlreadyExists, Conflict, Fenced, NotFound
from wfsim.model.resource import Key, Resource

POD = Resource("pod", "a", spec={"cpu": 1}, annotations={"zone": "z1"})
GONE = Resource("pod", "gone").key


@pytest.fixture
def told(resources):
    """What a subscriber was told: revision before and after, None for none."""
    told = []

    def hear(before, after):
        told.append((before and before.revision, after and after.revision))

    resources.subscribe(hear)
    return told


def test_a_created_resource_has_a_uid_and_a_revision_and_is_found(resources, do):
    pod = do(resources.create(POD))
    assert pod.uid
    assert pod.revision > 0
    assert (pod.spec, pod.annotations) == ({"cpu": 1}, {"zone": "z1"})
    assert do(resources.get(POD.key)) == pod
    assert do(resources.cached(POD.key)) == pod
    assert resources.peek(POD.key) == pod
    assert resources.keys() == [POD.key]


def test_what_the_server_keeps_cannot_be_chosen_by_who_creates(resources, do):
    claim = POD._replace(uid="mine", revision=99, entered=98, deleted=1.0)
    pod = do(resources.create(claim))
    assert pod.uid != "mine"
    assert pod.entered == pod.revision != 99
    assert pod.deleted is None


def test_two_resources_never_share_a_uid_or_a_revision(resources, do):
    pods = [do(resources.create(POD._replace(name=name))) for name in "ab"]
    assert len({pod.uid for pod in pods}) == len({pod.revision for pod in pods}) == 2


def test_the_same_name_in_another_namespace_or_kind_is_another_resource(resources, do):
    others = [POD, POD._replace(namespace="test"), POD._replace(kind="node")]
    for resource in reversed(others):
        do(resources.create(resource))
    assert resources.keys() == [
        Key("node", "default", "a"),
        Key("pod", "default", "a"),
        Key("pod", "test", "a"),
    ]


def test_a_name_is_taken_until_its_resource_is_gone(resources, do):
    first = do(resources.create(POD))
    with pytest.raises(AlreadyExists, match="resource a exists"):
        do(resources.create(POD))
    do(resources.delete(POD.key))
    second = do(resources.create(POD))
    assert second.uid != first.uid
    assert second.revision > first.revision


@pytest.mark.parametrize("verb", ["get", "cached", "delete"])
def test_what_is_not_there_is_not_found(resources, do, verb):
    with pytest.raises(NotFound, match="no resource gone"):
        do(getattr(resources, verb)(GONE))
    assert resources.peek(GONE) is None


def test_an_update_raises_the_revision_and_keeps_the_identity(resources, do):
    pod = do(resources.create(POD))
    edited = do(resources.update(pod.edit(status={"ready": True})))
    assert edited.revision > pod.revision
    assert edited == pod._replace(status={"ready": True}, revision=edited.revision)
    assert do(resources.get(POD.key)) == edited


def test_an_update_based_on_an_old_revision_is_a_conflict_and_changes_nothing(
    resources, do
):
    old = do(resources.create(POD))
    new = do(resources.update(old.edit(status={"ready": True})))
    with pytest.raises(Conflict, match=f"at revision {new.revision}, not {old.revision}"):
        do(resources.update(old.edit(status={"ready": False})))
    assert resources.peek(POD.key) == new


def test_an_update_that_changes_nothing_is_no_write(resources, do, told):
    pod = do(resources.create(POD))
    again = do(resources.update(pod.edit(spec={"cpu": 1})))
    assert again.revision == pod.revision
    assert told == [(None, pod.revision)]


def test_an_update_of_what_is_gone_or_only_has_its_name_is_not_found(resources, do):
    pod = do(resources.create(POD))
    do(resources.delete(POD.key))
    with pytest.raises(NotFound):
        do(resources.update(pod.edit(status={"ready": True})))
    namesake = do(resources.create(POD))
    with pytest.raises(NotFound, match=pod.uid):
        do(resources.update(pod.edit(status={"ready": True})))
    assert resources.peek(POD.key) == namesake


def test_entered_is_the_revision_at_which_the_state_was_entered(resources, do):
    pod = do(resources.create(POD))
    edited = do(resources.update(pod.edit(status={"ready": True})))
    moved = do(resources.update(edited.move("Running")))
    later = do(resources.update(moved.edit(status={"ready": False})))
    back = do(resources.update(later.move("")))
    assert [item.entered for item in (pod, edited, moved, later, back)] == [
        pod.revision,
        pod.revision,
        moved.revision,
        moved.revision,
        back.revision,
    ]


def test_what_the_server_keeps_cannot_be_changed_by_an_update(resources, do, told):
    pod = do(resources.create(POD))
    same = do(resources.update(pod._replace(entered=77, deleted=5.0)))
    assert same == pod
    edited = do(resources.update(pod._replace(entered=77, deleted=5.0, state="Running")))
    assert (edited.entered, edited.deleted) == (edited.revision, None)
    assert len(told) == 2


def test_a_writer_cannot_change_later_what_it_has_written(resources, do):
    spec, nested, finalizers = {"tags": ["x"]}, {"deep": {"er": 1}}, ["hook"]
    do(resources.create(Resource("pod", "a", spec=spec, finalizers=finalizers)))
    spec["tags"].append("y")
    finalizers.clear()
    pod = resources.peek(POD.key)
    assert (pod.spec, pod.finalizers) == ({"tags": ("x",)}, ("hook",))
    do(resources.update(pod._replace(status=nested)))
    nested["deep"]["er"] = 2
    assert resources.peek(POD.key).status == {"deep": {"er": 1}}


def test_a_reader_cannot_change_what_is_kept(resources, do):
    pod = do(resources.create(POD))
    with pytest.raises(TypeError, match="immutable"):
        pod.spec["cpu"] = 2


def test_a_resource_without_finalizers_goes_away_when_it_is_deleted(resources, do, told):
    pod = do(resources.create(POD))
    do(resources.delete(POD.key))
    assert resources.peek(POD.key) is None
    assert resources.keys() == []
    assert told == [(None, pod.revision), (pod.revision, None)]


def test_finalizers_hold_a_deleted_resource_until_the_last_one_is_removed(
    resources, do, clock
):
    do(resources.create(POD._replace(finalizers=("disk", "pod"))))
    clock.run(until=3)
    do(resources.delete(POD.key))
    marked = resources.peek(POD.key)
    assert (marked.deleted, marked.cancelled) == (3, True)
    with pytest.raises(AlreadyExists):
        do(resources.create(POD))
    one = do(resources.update(marked._replace(finalizers=("pod",))))
    assert resources.peek(POD.key) == one
    do(resources.update(one._replace(finalizers=())))
    assert resources.peek(POD.key) is None


def test_deleting_again_changes_nothing(resources, do, clock, told):
    do(resources.create(POD._replace(finalizers=("disk",))))
    do(resources.delete(POD.key))
    marked = resources.peek(POD.key)
    clock.run(until=5)
    do(resources.delete(POD.key))
    assert resources.peek(POD.key) == marked
    assert len(told) == 2


def test_a_deletion_is_not_taken_back_by_who_has_not_seen_it(resources, do):
    pod = do(resources.create(POD._replace(finalizers=("disk",))))
    do(resources.delete(POD.key))
    with pytest.raises(Conflict):
        do(resources.update(pod.move("Running")))
    marked = resources.peek(POD.key)
    moved = do(resources.update(marked._replace(deleted=None, state="Running")))
    assert moved.deleted == marked.deleted


def test_watches_and_subscribers_are_told_of_every_change_in_order(resources, do, told):
    seen = []

    def see(before, after):
        seen.append((before and before.revision, after and after.revision))

    resources.watch(see)
    pod = do(resources.create(POD))
    do(resources.update(pod.move("Running")))
    do(resources.delete(POD.key))
    assert [(before is None, after is None) for before, after in told] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert told[0][1] == told[1][0]
    assert told[1][1] == told[2][0]
    assert seen == told


def test_who_stops_watching_or_listening_is_told_nothing_more(resources, do):
    seen, kept = [], []
    stops = [
        resources.watch(lambda *pair: seen.append(pair)),
        resources.subscribe(lambda *pair: seen.append(pair)),
    ]
    resources.watch(lambda *pair: kept.append(pair))
    do(resources.create(POD))
    for stop in stops:
        stop()
    do(resources.delete(POD.key))
    assert (len(seen), len(kept)) == (2, 2)


def test_a_writer_whose_lease_passed_on_is_refused(resources, do, tokens):
    pod = do(resources.create(POD))
    tokens[POD.key] = 2
    with pytest.raises(Fenced, match="token 1 is older than the lease, 2"):
        do(resources.update(pod.move("Running"), 1))
    assert resources.peek(POD.key) == pod
    assert do(resources.update(pod.move("Running"), 2)).state == "Running"


def test_a_write_from_outside_needs_no_lease(resources, do, tokens):
    pod = do(resources.create(POD))
    tokens[POD.key] = 2
    assert do(resources.update(pod.move("Running"))).state == "Running"
