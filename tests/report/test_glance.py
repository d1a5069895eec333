"""What is shown of a value fits a screen, has no address, and says what to do next."""

import html

import pytest

import wfsim
from fake_resources import polardb, tiem


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


def test_none_is_longer_than_a_screen_and_none_has_an_address(log):
    for value in values(log):
        page = html.unescape(getattr(value, "_repr_html_", value.__repr__)())
        for text in (repr(value), page):
            assert len(text.splitlines()) <= 15, text
            assert " at 0x" not in text
            assert max(map(len, text.splitlines())) <= 130, text


def test_those_of_many_lines_say_what_to_do_next(log):
    several = [value for value in values(log) if "\n" in repr(value)]
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
