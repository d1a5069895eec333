"""Same scenario, seed and faults: the same bytes, in any process and on any clock."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import wfsim
from tests.sizes import FULL
from wfsim.sim.clock import WallClock
from wfsim.sim.simulation import Simulation

ROOT = Path(__file__).parents[2]


class Racks(wfsim.World):
    """Disks that come up in their own time, and sets, whose order depends on hashes."""

    def __init__(self):
        super().__init__()
        self.disks = {}
        self.names = set()

    def attach_disk(self, name, seconds):
        self.names |= {name, f"{name}-log"}
        self.later(seconds, "come_up", name)

    def come_up(self, name):
        self.disks[name] = self.clock.now


@wfsim.step
def prepare(context):
    name = context.resource.name
    context.world.attach_disk(name, 2 + 4 * context.draw("disk"))
    yield from context.world.until(lambda: name in context.world.disks, every=0.5)
    context.log(f"disks: {', '.join(sorted(context.world.names))}")
    return {"disk": context.world.disks[name], "of": {"z": 1, "a": [True, None, 1.5]}}


@wfsim.step
async def configure(context):
    await context.sleep(1 + context.draw())
    await context.update(status={"configured": context.attempt, "by": context.run})
    if context.draw("luck") < 0.4:
        raise ValueError("bad luck")


@wfsim.step
def check(context):
    yield from context.sleep(0.5)
    if context.draw("patience") < 0.3:
        raise wfsim.Waiting(after=3.0)


def scenario(resources=3, **more):
    machine = wfsim.StateMachine("rack").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Create")
    machine.transition(
        "Running", "Growing", when=lambda it: "grow" in it.annotations, run="Grow"
    )
    create = wfsim.Flow(
        "Create", tuple(map(wfsim.Step, ("prepare", "configure", "check")))
    )
    grow = wfsim.Flow("Grow", (wfsim.Step("check"), wfsim.Step("Forget", "configure")))
    return wfsim.Scenario(
        [wfsim.Resource("rack", f"rack-{number}") for number in range(resources)],
        machine,
        [create, grow],
        [prepare, configure, check],
        world=Racks,
        policy=wfsim.Policy(workers=2, retry=wfsim.Retry(limit=4, delay=2.0)),
        horizon=300.0,
        **more,
    )


def busy():
    """Arrivals, triggers, faults at rates and pools."""
    times = wfsim.demand.Times
    return scenario(
        arrivals=[
            wfsim.demand.Arrivals(
                wfsim.Resource("rack", "late-{n}"), times(mean=30, count=5)
            )
        ],
        triggers=[
            wfsim.demand.Trigger(
                times(mean=25, until=200), "any", annotations={"grow": "{n}"}
            ),
            wfsim.demand.Trigger(times(every=60), "each", status={"tick": "{n}"}),
        ],
        rates={
            "controller": wfsim.demand.Rate(mtbf=60, mttr=4, until=200),
            "api": wfsim.demand.Rate(mtbf=80, mttr=3, count=2),
        },
        pools={"hands": 2, "tools": 3},
        settings={
            "configure": {"failure": 0.2, "uses": {"tools": 2, "hands": 1}},
            "check": {"duration": {"exponential": 2}, "uses": {"hands": 1}},
        },
        api_rate=wfsim.demand.ApiRate(40, burst=5),
    )


FAULTS = {
    "calm": (),
    "broken steps": (
        wfsim.FailStep("configure", times=3),
        wfsim.DelayStep("check", by=7.0),
        wfsim.HangStep("prepare", resource="rack-1"),
        wfsim.CancelAt(t=20, resource="rack-1"),
    ),
    "broken stores": (
        wfsim.FailSave(write=7, applied=True, times=2),
        wfsim.RefuseWrite(write=12),
        wfsim.StaleRead(t=3, for_=9),
        wfsim.DropWatch(t=8, for_=6),
    ),
    "broken controllers": (
        wfsim.CrashAt(write=5, restart_after=6),
        wfsim.PauseController(t=9, for_=25, controller="controller-1"),
        wfsim.EditAt(t=12, resource="rack-2", annotations={"grow": "now"}),
        wfsim.CrashAt(t=31, restart_after=2),
    ),
}


def simulation(faults, seed=3, clock=None):
    return Simulation(scenario(), faults=faults, seed=seed, controllers=2, clock=clock)


def logs(seed=3):
    """The log of every set of faults, as bytes."""
    made = [simulation(faults, seed) for faults in FAULTS.values()]
    made.append(Simulation(busy(), seed=seed, controllers=2))
    for sim in made:
        yield "".join(f"{line}\n" for line in sim.run().lines()).encode()


def test_the_bytes_do_not_depend_on_the_process_or_on_the_order_of_hashes():
    command = [sys.executable, __file__]
    environments = [
        os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        for hash_seed in ("random", "0", "1", "2", "1234567")[: None if FULL else 2]
    ]
    children = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        for env in environments * (2 if FULL else 1)
    ]
    told = {child.communicate()[0] for child in children}
    assert [child.returncode for child in children] == [0] * len(children)
    here = json.dumps([hashlib.sha256(log).hexdigest() for log in logs()])
    assert told == {here + "\n"}


def test_each_set_of_faults_leaves_its_mark_and_another_seed_another_log():
    assert len(set(logs(3)) | set(logs(4))) == 2 * (len(FAULTS) + 1)


def test_every_fault_of_the_sets_fires():
    for name, faults in FAULTS.items():
        log = simulation(faults).run()
        fired = {record.text for record in log.filter(wfsim.Kind.FAULT_FIRED)}
        assert fired == {repr(fault) for fault in faults}, name


def test_a_wall_clock_gives_the_same_records_at_the_same_virtual_times():
    for faults in FAULTS.values():
        wall = simulation(faults, clock=WallClock(factor=1e-5)).run()
        assert list(wall.lines()) == list(simulation(faults).run().lines())


def test_stepping_record_by_record_gives_the_same_log_as_running():
    for faults in FAULTS.values():
        stepped = simulation(faults)
        while stepped.step():
            pass
        assert list(stepped.log.lines()) == list(simulation(faults).run().lines())


if __name__ == "__main__":
    print(json.dumps([hashlib.sha256(log).hexdigest() for log in logs()]))
