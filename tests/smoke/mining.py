"""PM4Py reads what wfsim writes for process mining, and declared flows fit the traces.

It has an environment of its own, since PM4Py is under the AGPL: ``make mining``.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["TQDM_DISABLE"] = "1"
warnings.filterwarnings("ignore", "Install the optional requirement")

import pm4py  # noqa: E402
from pm4py.objects.petri_net.obj import Marking, PetriNet  # noqa: E402
from pm4py.objects.petri_net.utils import petri_utils  # noqa: E402

import wfsim  # noqa: E402
from fake_resources import polardb, tiem  # noqa: E402
from wfsim.model.flow import Outcome  # noqa: E402

CRASH = wfsim.CrashAt(t=40, restart_after=10)
FAILS = [wfsim.FailStep("CreateRwPod", times=2), wfsim.FailStep("InitMeta")]


def logs() -> dict[str, tuple[wfsim.EventLog, dict[str, wfsim.Flow]]]:
    """Logs by name, each with the flows that its scenario declares."""
    nightly = wfsim.Scenario.of_flow("flows/backup/nightly.yaml")
    cluster, three = polardb.scenario(replicas=2), polardb.scenario(1, clusters=3)
    found = {}
    for name, scenario, faults in (
        ("nightly, calm", nightly, []),
        ("a cluster, its controller dies", cluster, [CRASH]),
        ("a cluster, two steps fail", cluster, FAILS),
        ("three clusters, one cancelled", three, [wfsim.CancelAt(30, "mpd-1"), CRASH]),
    ):
        found[name] = wfsim.simulate(scenario, faults, seed=1), scenario.flows
    for name, faults in (
        ("a service", []),
        ("a service, a node fails", [wfsim.FailStep("deployCluster", times=99)]),
        ("a service, its controller dies", [CRASH]),
    ):
        sim = wfsim.Simulation(tiem.scenario(), seed=1, faults=faults)
        tiem.begin(sim, "CreateCluster", "c-1")
        sim.run()
        found[name] = sim.log, sim.scenario.flows
    return found


def net_of(flow: wfsim.Flow, is_over: bool) -> tuple[PetriNet, Marking, Marking]:
    """Return the Petri net that a declared flow is: what may follow what.

    An attempt is a ``start`` and then ``complete``, which leads to the next step, or
    ``ate_abort``, which leads to the same step again or along the edge for a failure or a
    cancel.  A run that *is_over* ends at the end of the flow, another one at any step.
    """
    net = PetriNet(flow.name)
    begin, end = PetriNet.Place("begin"), PetriNet.Place("end")
    ready = {name: PetriNet.Place(f"{name} is next") for name in flow.names}
    at_work = {name: PetriNet.Place(f"{name} is at work") for name in flow.names}
    net.places.update([begin, end, *ready.values(), *at_work.values()])

    def move(label: str | None, source: Any, target: Any) -> None:
        number = len(net.transitions)
        transition = PetriNet.Transition(f"t{number}", label)
        net.transitions.add(transition)
        petri_utils.add_arc_from_to(source, transition, net)
        petri_utils.add_arc_from_to(transition, target, net)

    move(None, begin, ready[flow.start or flow.names[0]])
    for step in flow.names:
        move(f"{step} start", ready[step], at_work[step])
        following = flow.after(step, Outcome.SUCCESS)
        move(f"{step} complete", at_work[step], ready[following] if following else end)
        move(f"{step} ate_abort", at_work[step], ready[step])
        for outcome in (Outcome.FAILURE, Outcome.CANCEL):
            if handler := flow.after(step, outcome):
                move(f"{step} ate_abort", at_work[step], ready[handler])
        if not is_over:
            move(None, ready[step], end)
            move(None, at_work[step], end)
        if flow.recover_from_first_step:
            move(None, ready[step], begin)
    return net, Marking({begin: 1}), Marking({end: 1})


def fitness(xes: Any, flow: wfsim.Flow, completed: set[str]) -> float:
    """How well the traces of *flow* fit it, from 0 to 1: the worst of them.

    Those *completed* have to come to the end of the flow.
    """
    frame = xes[xes["case:flow"] == flow.name].copy()
    words = frame["concept:name"] + " " + frame["lifecycle:transition"]
    frame["concept:name"] = words
    is_over = frame["case:concept:name"].isin(completed)
    found = [1.0]
    for traces, net in ((frame[is_over], True), (frame[~is_over], False)):
        if len(traces):
            aligned = pm4py.conformance_diagnostics_alignments(traces, *net_of(flow, net))
            found += [trace["fitness"] for trace in aligned]
    return min(found)


def check(name: str, log: wfsim.EventLog, flows: dict[str, Any], folder: Path) -> None:
    """Read *log* back in both formats, and hold its traces to the declared *flows*."""
    steps = wfsim.tables.steps(log)
    xes = pm4py.read_xes(str(wfsim.export.to_xes(log, folder / "log.xes")))
    ends = steps["end"].notna().sum()
    assert len(xes) == steps["start"].notna().sum() + ends, name
    assert [*xes["time:timestamp"]] == sorted(xes["time:timestamp"]) or len(flows) > 1
    ocel = pm4py.read_ocel2(str(wfsim.export.to_ocel(log, folder / "log.json")))
    assert len(ocel.events) == len(log), name
    runs = wfsim.tables.runs(log)
    of_type = ocel.objects["ocel:type"].value_counts()
    assert of_type["run"] == len(runs), name
    assert {*ocel.events["ocel:activity"]} >= {*steps["step"]}, name
    completed = {
        f"{run.resource} {run.run}"
        for run in runs.itertuples()
        if run.status == "completed"
    }
    for flow in sorted({*steps["flow"]}):
        fits = fitness(xes, flows[flow], completed)
        print(f"{name}: {flow} fits with fitness {fits:.3f}")
        assert fits == 1.0, name


def main() -> int:
    """Check every log, and that a trace that is not of the flow does not fit."""
    with TemporaryDirectory() as folder:
        for name, (log, flows) in logs().items():
            check(name, log, flows, Path(folder))
        log, flows = logs()["nightly, calm"]
        (flow,) = flows.values()
        xes = pm4py.read_xes(str(wfsim.export.to_xes(log, Path(folder) / "log.xes")))
        other = xes.replace({"concept:name": {"CopyAway": "CopyElsewhere"}})
        assert fitness(other, flow, set()) < 1.0
        print("a step that is not of the flow does not fit")
        cut = xes.iloc[:-2]
        assert fitness(cut, flow, {*cut["case:concept:name"]}) < 1.0
        print("a run that is over before its last step does not fit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
