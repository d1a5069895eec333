"""Operations of the TiEM world that fail with a probability of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

import wfsim
from fake_resources import tiem
from fake_resources.operations import OperationStatus
from tests.sizes import FULL, four_deviations
from tests.tiem.begun import Begun, asked_for, simulation
from wfsim.sim.draws import KeyedDraws

FAILED = wfsim.Kind.STEP_FAILED
BADLY = "[9995]task failed\texit status 1"

FAILING = {
    "call": (
        "StopCluster",
        "clusterStop",
        "OperationFailed: call for management.stopCluster failed",
    ),
    "Deploy": ("CreateCluster", "deployCluster", BADLY),
    "Start": ("CreateCluster", "startupCluster", BADLY),
    "Restart": ("RestartCluster", "restartCluster", BADLY),
    "Stop": ("StopCluster", "clusterStop", BADLY),
    "Destroy": ("DeleteCluster", "destroyCluster", BADLY),
    "ScaleOut": ("ScaleOutCluster", "scaleOutCluster", BADLY),
    "ScaleIn": ("ScaleInCluster", "scaleInCluster", BADLY),
    "Upgrade": ("OnlineInPlaceUpgradeCluster", "upgradeCluster", BADLY),
    "EditConfig": ("ModifyParameters", "modifyParameter", BADLY),
    "Reload": ("ModifyParameters", "refreshParameter", BADLY),
    "Dumpling": ("ExportData", "exportDataFromCluster", BADLY),
    "Lightning": ("ImportData", "importDataToCluster", BADLY),
    "EM ScaleOut": ("ImportHosts", "joinEMCluster", BADLY),
    "EM ScaleIn": ("DeleteHosts", "leaveEMCluster", BADLY),
    "back up": (
        "BackupCluster",
        "backup",
        "OperationFailed: back up for cluster-1 failed",
    ),
    "restore": (
        "RestoreExistCluster",
        "restoreFromSrcCluster",
        "OperationFailed: restore for cluster-1 failed",
    ),
    "move data": (
        "ScaleInCluster",
        "checkInstanceStatus",
        "OperationFailed: move data for cluster-1-tikv-3 failed",
    ),
    "catch up": (
        "CloneCluster",
        "syncIncrData",
        "OperationFailed: catch up for feed-cluster-1-cluster-new failed",
    ),
}
"""By operations: a flow that needs it, its step that fails, and what that says."""

UNHEARD = {
    "Prune": ("ScaleInCluster", "the flow launches it and does not look at it again"),
    "Push": ("BuildLogConfig", "the flow launches it and does not look at it again"),
}


def test_every_operation_is_seen_to_fail_or_nobody_hears_of_it():
    assert {*FAILING} | {*UNHEARD} == {*tiem.LATENCIES}


def failing(flow: str, seed: int = 1, **more: object) -> Begun:
    """A flow that was asked for in a world in which operations fail, at its end."""
    return asked_for(wfsim.Simulation(tiem.scenario(**more), seed=seed), flow).ended()


AGAIN = wfsim.Retry(limit=20)


def stubborn(flow: str, seed: int = 1, **named: float) -> Begun:
    """The same, but flows whose files say that their nodes are tried again.

    In the name of an operation that may fail, spaces are underscores.
    """
    failures = {name.replace("_", " "): chance for name, chance in named.items()}
    base = tiem.scenario(failures=failures)
    flows = [replace(each, retry=AGAIN) for each in base.flows.values()]
    return asked_for(wfsim.Simulation(base.but(flows=flows), seed=seed), flow).ended()


def failures(run: Begun) -> list[tuple[str, str]]:
    """The steps that failed, in order, and what they said."""
    found = run.sim.log.filter(FAILED)
    return [(each.step, each.text) for each in found]


@pytest.mark.parametrize("operation", FAILING)
def test_a_flow_whose_operation_always_fails_ends_in_an_error(operation):
    flow, step, text = FAILING[operation]
    run = failing(flow, failures={operation: 1})
    assert failures(run)[0] == (step, text)
    assert run.status == "Error"


@pytest.mark.parametrize("operation", UNHEARD)
def test_an_operation_that_nobody_looks_at_fails_unheard(operation):
    flow, _ = UNHEARD[operation]
    run = failing(flow, failures={operation: 1})
    assert (run.status, failures(run)) == ("Finished", [])
    launched = [each for each in run.world.operations.values() if each.kind == operation]
    assert {each.status for each in launched} == {OperationStatus.ERROR}


@pytest.mark.parametrize("operation", FAILING)
def test_a_flow_that_tries_again_finishes_though_its_operation_fails(operation):
    flow, _, _ = FAILING[operation]
    runs = [stubborn(flow, seed, **{operation: 0.4}) for seed in range(16)]
    assert {run.status for run in runs} == {"Finished"}
    assert any(failures(run) for run in runs)


FLOWS = [name for name in tiem.CALLERS if name != "SwitchoverRollback"]
"""All but the one that takes another one back, which must fail in a way of its own."""


@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_that_tries_again_finishes_among_failures_of_all_kinds(flow):
    named = dict.fromkeys(tiem.LATENCIES, 0.15)
    # What a feed of a switchover has missed is not sent again, however often one looks.
    named["catch up"] = 0
    if flow == "OfflineInPlaceUpgradeCluster":
        named["Start"] = 0  # Nobody looks at it there.
    for seed in range(4):
        assert stubborn(flow, seed, **named).status == "Finished"


def test_data_that_cannot_move_away_stay_and_so_does_the_instance():
    run = failing("ScaleInCluster", failures={"move data": 1})
    instance = run.world.clusters["cluster-1"].instances["cluster-1-tikv-3"]
    assert (instance.store, instance.up) == ("Up", True)


def test_a_switchover_finds_a_feed_that_does_not_send():
    run = failing("SwitchoverNormal", failures={"catch up": 1})
    feeds = "feed-cluster-1-cluster-2, feed-cluster-1-cluster-3"
    assert failures(run) == [
        ("waitOldMasterCDCsCaughtUp", f"RuntimeError: not caught up: {feeds}")
    ]
    assert run.status == "Error"


def test_what_fails_takes_its_time_first():
    latencies = {**tiem.INSTANT, "back up": 100}
    run = failing("BackupCluster", failures={"back up": 1}, latencies=latencies)
    begun = run.sim.log.filter(wfsim.Kind.STEP_STARTED, step="backup")[0].time
    assert run.sim.log.filter(FAILED)[0].time - begun == 100.0


# -- how often, and of what that does not depend -----------------------------------------


def world(seed: int, **more: object) -> tiem.TiemWorld:
    made = tiem.TiemWorld(**more)
    made.attach(wfsim.clock.VirtualClock(), KeyedDraws(seed))
    return made


@pytest.mark.parametrize("share", [0.05, 0.3])
@pytest.mark.parametrize("kind", [name for name in tiem.LATENCIES if name[0].isupper()])
def test_the_share_of_launches_that_end_badly_is_the_probability(kind, share):
    failed, seeds = 0, 500 if FULL else 100
    for seed in range(seeds):
        site = world(seed, failures={kind: share})
        names = [site.launch(kind, target) for target in ("a", "a", "b", "c")]
        site.clock.run()
        failed += sum(bool(site.operations[name].error) for name in names)
    assert abs(failed / (4 * seeds) - share) < four_deviations(share, 4 * seeds)


@pytest.mark.parametrize("operation", ["back up", "restore", "move data", "catch up"])
def test_the_share_of_other_operations_that_fail_is_the_probability(operation):
    failed, seeds = 0, 2000 if FULL else 400
    for seed in range(seeds):
        site = world(seed, failures={operation: 0.2})
        site.takes(operation, "thing")
        failed += site.fails(operation, "thing")
    assert abs(failed / seeds - 0.2) < four_deviations(0.2, seeds)


def test_the_share_of_calls_that_fail_is_the_probability():
    seeds = 400 if FULL else 80
    failed = sum(
        ("clusterStop", FAILING["call"][2])
        in failures(failing("StopCluster", seed, failures={"call": 0.3}))
        for seed in range(seeds)
    )
    assert abs(failed / seeds - 0.3) < four_deviations(0.3, seeds)


def test_another_probability_leaves_what_else_fails_as_it_was():
    others = {"Start": 0.4, "call": 0.05, "EditConfig": 0.4}
    deploys = 0
    for seed in range(8):
        few, many = (
            failures(stubborn("CreateCluster", seed, **others, Deploy=chance))
            for chance in (0.0, 0.7)
        )
        deploys += many.count(("deployCluster", BADLY))
        # A node that is tried more often makes more calls.
        few = [each for each in few if each[0] != "deployCluster"]
        assert few == [each for each in many if each[0] != "deployCluster"]
    assert deploys >= 5


def test_a_failure_that_never_happens_changes_nothing_at_all():
    plain = failing("CloneCluster").sim.log.digest()
    for chance in (0, 1e-12):
        named = dict.fromkeys(tiem.LATENCIES, chance)
        assert failing("CloneCluster", failures=named).sim.log.digest() == plain


# -- with operation_failure --------------------------------------------------------------

LAUNCHED = [name for name in tiem.LATENCIES if name[0].isupper()]


@pytest.mark.parametrize("flow", ["CreateCluster", "ScaleInCluster", "ModifyParameters"])
def test_operation_failure_is_the_probability_of_every_kind_that_is_launched(flow):
    for seed in range(5):
        named = dict.fromkeys(LAUNCHED, 0.4)
        one = failing(flow, seed, operation_failure=0.4)
        assert failing(flow, seed, failures=named).sim.log.digest() == (
            one.sim.log.digest()
        )


def test_a_kind_that_is_named_is_not_up_to_operation_failure():
    run = failing("StopCluster", operation_failure=1.0, failures={"Stop": 0})
    assert (run.status, failures(run)) == ("Finished", [])
    run = failing("RestartCluster", operation_failure=1.0, failures={"Stop": 0})
    assert run.status == "Error"


@pytest.mark.parametrize("flow", ["BackupCluster", "RestoreExistCluster"])
def test_operation_failure_covers_nothing_that_is_not_launched(flow):
    assert failing(flow, operation_failure=1.0).status == "Finished"


# -- forks, and what makes no sense ------------------------------------------------------


def test_failures_go_on_in_a_fork():
    sim = simulation(failures=dict.fromkeys(["call", "move data"], 0.2))
    tiem.begin(sim, "CloneCluster")
    sim.run(until=400.0)
    twin = sim.fork()
    assert twin.run().digest() == sim.run().digest()
    assert twin.world.state() == sim.world.state()
    assert sim.log.filter(FAILED)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"Deplyo": 0.1}, "no operation 'Deplyo'; did you mean 'Deploy'?"),
        ({"pod": 0.1}, f"no operation 'pod'; one of {', '.join(tiem.LATENCIES)}"),
        ({"Deploy": 1.5}, "'Deploy' is 1.5; give a probability from 0 to 1"),
        ({"Deploy": False}, "'Deploy' is False; give a probability from 0 to 1"),
        ({"Deploy": "often"}, "'Deploy' is 'often'; give a probability from 0 to 1"),
    ],
)
def test_probabilities_that_are_none_are_refused(named, said):
    for make in (tiem.scenario, tiem.TiemWorld):
        with pytest.raises(wfsim.DefinitionError) as error:
            make(failures=named)
        assert str(error.value) == f"failures: {said}"
