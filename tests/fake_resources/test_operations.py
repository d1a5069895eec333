"""Operations in the background: launch, look, and all that can be wrong with them."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources.operations import (
    Operation,
    OperationStatus,
    OperationWorld,
)
from wfsim.sim.draws import KeyedDraws

TAKES = {"Deploy": wfsim.Duration.parse(100), "Push": wfsim.Duration.parse(0)}


class Site(OperationWorld):
    """A world that keeps what has been done to it."""

    def __init__(self, operation_failure: float = 0.0) -> None:
        super().__init__(TAKES, operation_failure)
        self.done: list[str] = []

    def over(self, operation: Operation) -> None:
        """Keep what was done."""
        self.done = [*self.done, f"{operation.kind} {operation.target}"]


def living(site: Site | None = None) -> Site:
    site = site or Site()
    site.attach(wfsim.clock.VirtualClock(), KeyedDraws(1))
    return site


def at(site: Site, time: float) -> str:
    """What a look finds when it is *time*."""
    site.clock.run(until=time)
    try:
        found = site.poll("deploy-db-1")
    except (wfsim.errors.ServiceError, wfsim.errors.PollError) as error:
        return f"{type(error).__name__}: {error}"
    return "under way" if found is None else found["result"]


def test_an_operation_is_named_at_once_and_seen_to_end_later():
    site = living()
    assert site.launch("Deploy", "db", 600.0) == "deploy-db-1"
    assert site.operations["deploy-db-1"].status is OperationStatus.INIT
    assert at(site, 1) == "under way"
    assert site.operations["deploy-db-1"].status is OperationStatus.PROCESSING
    assert at(site, 99) == "under way"
    assert site.done == []
    assert at(site, 101) == "operation finished"
    assert site.done == ["Deploy db"]


def test_a_second_launch_is_an_operation_of_its_own():
    site = living()
    site.launch("Deploy", "db")
    site.clock.run(until=50)
    assert site.launch("Deploy", "db") == "deploy-db-2"
    assert at(site, 120) == "operation finished"
    assert site.poll("deploy-db-2") is None
    site.clock.run()
    assert site.done == ["Deploy db", "Deploy db"]


def test_a_process_is_killed_after_its_limit_and_has_done_nothing():
    site = living()
    site.launch("Deploy", "db", 60.0)
    assert at(site, 59) == "under way"
    killed = "ServiceError: [9995]task failed\tDeploy of db: killed after 60 s"
    assert at(site, 61) == killed
    assert at(site, 1000) == killed
    assert site.done == []


def test_a_process_that_hangs_is_killed_if_it_has_a_limit():
    site = living()
    site.launch("Deploy", "db", 300.0)
    site.clock.run(until=10)
    site.operations["deploy-db-1"].hang()
    assert at(site, 299) == "under way"
    assert at(site, 301).startswith("ServiceError")


def test_a_process_that_hangs_without_a_limit_does_so_for_ever():
    site = living()
    site.launch("Deploy", "db")
    site.operations["deploy-db-1"].hang()
    assert at(site, 1e7) == "under way"
    assert site.done == []


def test_a_process_fails_when_somebody_lets_it():
    site = living()
    site.launch("Deploy", "db")
    site.clock.run(until=10)
    site.operations["deploy-db-1"].fail("disk full")
    assert at(site, 11) == "ServiceError: [9995]task failed\tdisk full"
    assert at(site, 200) == at(site, 201)
    assert site.done == []


def test_what_is_over_cannot_fail_any_more():
    site = living()
    site.launch("Deploy", "db")
    assert at(site, 101) == "operation finished"
    site.operations["deploy-db-1"].fail()
    assert at(site, 102) == "operation finished"


def test_a_silent_file_says_for_ever_what_it_said_though_the_work_is_done():
    site = living()
    site.launch("Deploy", "db", 600.0)
    site.clock.run(until=10)
    site.operations["deploy-db-1"].silence()
    assert at(site, 10_000) == "under way"
    assert site.done == ["Deploy db"]


def test_a_garbled_file_is_read_again_with_the_next_look():
    site = living()
    site.launch("Deploy", "db")
    site.operations["deploy-db-1"].garble(2)
    garbled = "PollError: deploy-db-1: the status file is cut short"
    assert [at(site, time) for time in (1, 2, 3)] == [garbled, garbled, "under way"]
    assert at(site, 101) == "operation finished"


def test_a_look_at_an_operation_that_never_was_comes_to_nothing():
    with pytest.raises(wfsim.errors.PollError, match="no status file of an operation ''"):
        living().poll("")


def test_the_seed_fails_as_many_operations_as_it_is_told():
    site = living(Site(operation_failure=0.3))
    for number in range(200):
        site.launch("Push", f"host-{number}")
    site.clock.run()
    failed = [each for each in site.operations.values() if each.error]
    assert {each.status for each in failed} == {OperationStatus.ERROR}
    assert 45 <= len(failed) <= 75
    assert len(site.done) == 200 - len(failed)


def test_operations_go_on_in_a_copy_of_their_world():
    site = living()
    site.launch("Deploy", "db", 600.0)
    site.clock.run(until=40)
    twin = site.copy()
    site.operations["deploy-db-1"].fail()
    living(twin)
    twin.clock.run()
    assert twin.poll("deploy-db-1") == {"result": "operation finished"}
    assert twin.done == ["Deploy db"]
