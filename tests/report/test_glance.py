"""What is shown of a value fits a screen, has no address, and says what to do next."""

import html

import pytest

import wfsim
from fake_resources import polardb, tiem
from wfsim.engine.service import FlowDetail, Page


@pytest.fixture(scope="module")
def log():
    faults = [wfsim.CrashAt(t=40, restart_after=10), wfsim.FailStep("CreateRoPods")]
    return wfsim.simulate(polardb.scenario(), faults)


def values(log):
    sim = wfsim.Simulation(polardb.scenario())
    yield sim
    sim.run(until=60)
    yield from (sim, log, log.fold(), *log.fold().mementos.values())
    for scenario in (polardb.scenario(), tiem.scenario()):
        yield from (scenario, *scenario.flows.values(), *scenario.machines.values())
    em = wfsim.Simulation(tiem.scenario())
    flow = tiem.begin(em, "CreateCluster", "c-1")
    em.run()
    yield from (sim.world, sim.clock, em.world, em.service, em.service.detail(flow))
    yield em.service.list()


def test_none_is_longer_than_a_screen_and_none_has_an_address(log):
    for value in values(log):
        page = html.unescape(getattr(value, "_repr_html_", value.__repr__)())
        for text in (repr(value), page):
            assert len(text.splitlines()) <= 15, text
            assert " at 0x" not in text
            assert max(map(len, text.splitlines())) <= 130, text


def test_those_of_many_lines_say_what_to_do_next(log):
    kinds = (wfsim.World, FlowDetail, Page)
    several = [
        value
        for value in values(log)
        if "\n" in repr(value) and not isinstance(value, kinds)
    ]
    assert len(several) >= 6
    for value in several:
        assert repr(value).splitlines()[-1].startswith("  next: "), value


def test_a_log_shows_its_runs_over_time_and_how_they_ended(log):
    assert repr(log).splitlines()[1:4] == [
        "  mpd-0 1-CreateSharedStorageCluster  "
        "|===========!==x=========================|  completed",
        "                                      "
        "0                                  140.3 s",
        "  mpd-0 is Running",
    ]


def test_a_world_shows_how_much_there_is_of_what():
    class Cloud(wfsim.World):
        def __init__(self):
            super().__init__()
            self.volumes = {"vol-0": "full", "vol-1": "empty"}
            self.made = 2
            self.uplink = wfsim.Pool(3)

    assert repr(Cloud()).splitlines() == [
        "<Cloud, 0 pending>",
        "  volumes: 2: vol-0, vol-1",
        "  made: 2",
        "  uplink: <Pool 0/3, queue 0>",
    ]


def test_a_flow_of_a_service_shows_its_nodes():
    em = wfsim.Simulation(tiem.scenario(), seed=1)
    flow = tiem.begin(em, "StopCluster", "cluster-1")
    em.run()
    assert repr(em.service.detail(flow)).splitlines() == [
        "<1-StopCluster about cluster cluster-1: Finished>",
        "  clusterStop        Finished    from 5.0 s to 23.6 s",
        "  setClusterOffline  Finished    from 25.0 s to 25.1 s",
        "  end                Finished    from 30.0 s to 30.2 s",
    ]
    assert repr(em.service) == "<SimulatedService: 27 flows defined, 1 created>"


def test_a_log_of_many_runs_counts_them():
    log = wfsim.simulate(polardb.scenario(clusters=8))
    assert repr(log).splitlines()[1:3] == [
        "  8 runs: 8 completed",
        "  8 resources: 8 Running",
    ]


def test_a_log_shows_its_notices():
    log = wfsim.simulate(polardb.scenario(), [wfsim.CrashAt(write=900)])
    line = "  notice: CrashAt(write=900): never fired; what it was to break has not been"
    assert line in repr(log)


def test_a_memento_and_a_flow_are_one_line_and_a_list_in_a_notebook(log):
    (memento,) = log.fold().mementos.values()
    flow = polardb.scenario().flows[memento.flow]
    assert repr(memento) == (
        "<Memento mpd-0 1-CreateSharedStorageCluster completed, 7 of 7 steps completed>"
    )
    assert repr(flow) == (
        "<Flow CreateSharedStorageCluster: 7 steps, InitMeta -> ... -> "
        "UpdateRunningStatus>"
    )
    for value in (memento, flow):
        assert len(value._repr_html_().splitlines()) == 9


def test_a_study_shows_estimates_with_their_intervals():

    study = wfsim.sweep(polardb.scenario, over={"replicas": [0, 1]}, replications=3)
    lines = repr(study).splitlines()
    assert lines[1].split() == ["total", "[s]", "total_p95", "[s]", "success", "[%]"]
    assert lines[2].startswith("  replicas 0  ")
    assert lines[2].endswith("100.0 (43.9 to 100.0)")
    assert lines[-1].startswith("  next: study.summary()")
