"""A world is data: it goes on by itself, can be copied, compared and gone on from."""

from __future__ import annotations

import pytest

from wfsim.errors import Killed, UsageError
from wfsim.sim.clock import VirtualClock
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.world import World


class Pod:
    def __init__(self, name, world):
        self.name = name
        self.world = world
        self.ready = False


class Cluster(World):
    """Pods by name and in order; both refer to the same ones."""

    def __init__(self):
        super().__init__()
        self.pods = {}
        self.order = []
        self.log = []

    def create(self, name, takes=5.0):
        pod = self.pods[name] = Pod(name, self)
        self.order.append(pod)
        self.later(takes, "boot", pod)

    def boot(self, pod):
        pod.ready = True
        self.log.append((self.clock.now, pod.name))

    def ready(self, name):
        return name in self.pods and self.pods[name].ready


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def cluster(clock):
    cluster = Cluster()
    cluster.attach(clock, KeyedDraws(1))
    return cluster


def wait(cluster, name, log, **how):
    """A process that waits for a pod and writes down when and how that ended."""

    def process():
        try:
            yield from cluster.until(lambda: cluster.ready(name), **how)
            log.append((cluster.clock.now, "ready"))
        except TimeoutError as error:
            log.append((cluster.clock.now, str(error)))
        except Killed:
            log.append((cluster.clock.now, "killed"))

    return cluster.clock.process(process())


def test_what_was_begun_completes_in_order_of_time_and_then_of_asking(clock, cluster):
    for name, takes in (("slow", 5), ("a", 3), ("b", 3), ("at-once", 0)):
        cluster.create(name, takes)
    assert [item.args[0].name for item in cluster.pending] == [
        "slow",
        "a",
        "b",
        "at-once",
    ]
    clock.run()
    assert cluster.log == [(0, "at-once"), (3, "a"), (3, "b"), (5, "slow")]
    assert cluster.pending == []


def test_what_a_completion_begins_is_pending_in_turn(clock):
    class Chain(World):
        def __init__(self):
            super().__init__()
            self.left = 3
            self.times = []

        def step(self):
            self.times.append(self.clock.now)
            self.left -= 1
            if self.left:
                self.later(2, "step")

    chain = Chain()
    chain.attach(clock, KeyedDraws(0))
    chain.later(1, "step")
    clock.run()
    assert chain.times == [1, 3, 5]


def test_a_completion_calls_a_method_that_there_is(cluster):
    with pytest.raises(UsageError, match="Cluster has no method 'bot' to call"):
        cluster.later(1, "bot")
    assert cluster.pending == []


def test_a_waiter_goes_on_when_its_condition_holds(clock, cluster):
    log = []
    wait(cluster, "a", log)
    clock.call(2, lambda: cluster.create("b"))
    clock.call(3, lambda: cluster.create("a"))
    clock.run()
    assert log == [(8, "ready")]


def test_a_waiter_whose_condition_holds_already_does_not_wait(clock, cluster):
    log = []
    cluster.create("a", 0)
    clock.run()
    wait(cluster, "a", log, timeout=0.0)
    clock.run()
    assert log == [(0, "ready")]


@pytest.mark.parametrize(
    ("takes", "noticed"), [(0.5, 3), (3, 3), (3.5, 6), (6, 6), (8.9, 9)]
)
def test_a_poll_sees_a_change_at_its_next_tick(clock, cluster, takes, noticed):
    log = []
    clock.run(until=1)
    cluster.create("a", takes)
    wait(cluster, "a", log, every=3.0)
    clock.run()
    assert log == [(1 + noticed, "ready")]


def test_a_poll_misses_what_was_true_between_two_ticks_only(clock, cluster):
    log = []
    cluster.create("a", 1)
    clock.call(2, lambda: cluster.pods.pop("a"))
    clock.call(4, lambda: cluster.create("a", 1.5))
    wait(cluster, "a", log, every=3.0)
    clock.run()
    assert log == [(6, "ready")]


@pytest.mark.parametrize("began", [0.0, 0.1, 0.7, 1 / 3, 1e6 + 0.1])
@pytest.mark.parametrize("timeout", [0.2, 0.3, 2.7, 0.0])
@pytest.mark.parametrize("every", [0.0, 0.1, 1.0])
def test_a_waiter_gives_up_when_its_time_is_over(clock, cluster, began, timeout, every):
    log = []
    clock.run(until=began) if began else None
    wait(cluster, "a", log, timeout=timeout, every=every, what="pod a")
    clock.run()
    assert [text for _, text in log] == [f"pod a: not within {timeout:g} s"]
    assert log[0][0] == pytest.approx(began + timeout)


def test_changes_that_do_not_help_do_not_prolong_a_wait(clock, cluster):
    log = []
    wait(cluster, "a", log, timeout=10, every=4.0)
    for time in range(1, 30):
        clock.call(time, cluster.changed)
    clock.run()
    assert log == [(10, "condition: not within 10 s")]


def test_what_becomes_true_at_the_last_moment_counts(clock, cluster):
    log = []
    cluster.create("a", 10)
    wait(cluster, "a", log, timeout=10)
    clock.run()
    assert log == [(10, "ready")]


def test_a_change_that_does_not_help_wakes_nobody(clock, cluster):
    log = []
    wait(cluster, "a", log, every=3.0)
    clock.call(1, cluster.changed)
    while clock.advance(10):
        pass
    assert (clock.now, clock.peek()) == (1, float("inf"))
    cluster.create("a", 0.5)
    clock.run()
    assert log == [(3, "ready")]


def test_what_a_condition_raises_is_raised_where_it_is_waited_for(clock, cluster):
    caught = []

    def process():
        try:
            yield from cluster.until(lambda: cluster.log and cluster.pods["gone"].ready)
        except KeyError as error:
            caught.append((clock.now, str(error)))

    clock.process(process())
    cluster.create("a", 2.0)
    clock.run()
    assert caught == [(2, "'gone'")]


def test_a_killed_waiter_does_no_harm(clock, cluster):
    log = []
    victim = wait(cluster, "a", log, timeout=50)
    wait(cluster, "a", log)
    cluster.create("a")
    clock.call(2, lambda: clock.throw(victim, Killed()))
    clock.run()
    assert log == [(2, "killed"), (5, "ready")]
    assert cluster.log == [(5, "a")]


def test_a_copy_goes_on_as_the_original_does(clock, cluster):
    cluster.create("a", 3)
    cluster.create("b", 7)
    clock.run(until=4)
    twin, other = cluster.copy(), VirtualClock()
    other.run(until=4)
    twin.attach(other, KeyedDraws(1))
    for world, at in ((cluster, clock), (twin, other)):
        world.create("c", 3)
        at.run()
    assert twin.log == cluster.log == [(3, "a"), (7, "b"), (7, "c")]


def test_a_copy_shares_nothing_with_the_original(clock, cluster):
    cluster.create("a")
    twin = cluster.copy()
    clock.run()
    assert not twin.ready("a")
    assert [item.args[0].name for item in twin.pending] == ["a"]
    twin.pods.clear()
    assert cluster.ready("a")


def test_a_copy_is_connected_as_the_original_is(cluster):
    cluster.create("a")
    twin = cluster.copy()
    pod = twin.pods["a"]
    assert pod is twin.order[0] is twin.pending[0].args[0]
    assert pod is not cluster.pods["a"]
    assert pod.world is twin


def test_a_copy_draws_the_same_numbers_for_the_same_seed(cluster, clock):
    twin = cluster.copy()
    twin.attach(VirtualClock(), KeyedDraws(1))
    assert twin.draw("pod", 1) == cluster.draw("pod", 1) != cluster.draw("pod", 2)


def test_state_is_a_private_copy_without_what_is_pending(clock):
    class Disk(World):
        def __init__(self):
            super().__init__()
            self.used = {"a": 1}
            self._cache = object()

    disk = Disk()
    disk.attach(clock, KeyedDraws(0))
    disk.later(1, "changed")
    state = disk.state()
    assert state == {"used": {"a": 1}}
    disk.used["a"] = 2
    assert state == {"used": {"a": 1}}
    assert disk.copy().state() == disk.state()


def test_a_world_lives_on_one_clock(cluster):
    with pytest.raises(UsageError, match=r"give a copy\(\) of it"):
        cluster.attach(VirtualClock(), KeyedDraws(0))


@pytest.mark.parametrize(
    "use",
    [lambda it: it.clock, lambda it: it.draw("a"), lambda it: it.create("a")],
    ids=["clock", "draw", "later"],
)
def test_a_world_on_no_clock_says_so(use):
    with pytest.raises(UsageError, match="give it to a Simulation"):
        use(Cluster())
