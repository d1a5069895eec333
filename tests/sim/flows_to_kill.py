"""A process that carries flows on over a file, until it is killed or they are done."""

from __future__ import annotations

import sys
from pathlib import Path

import wfsim

NAMES = tuple(f"db-{number}" for number in range(8))
STEPS = tuple(f"Step{number}" for number in range(20))
FACTOR = 0.1  # seconds for each second of virtual time


def scenario(ledger: Path) -> wfsim.Scenario:
    """Each step writes its name in the *ledger* when it begins."""

    def body(name: str):
        def step(ctx: wfsim.StepContext):
            with ledger.open("a") as file:
                file.write(f"{ctx.resource.name} {name}\n")
            yield from ctx.sleep(0.2 + 0.4 * ctx.draw("takes"))

        step.__name__ = name
        return step

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    return wfsim.Scenario(
        [wfsim.Resource("db", name) for name in NAMES],
        machine.unstable("Creating", run="Build"),
        [wfsim.Flow("Build", tuple(map(wfsim.Step, STEPS)))],
        map(body, STEPS),
        policy=wfsim.Policy(retry=wfsim.Retry(restarts=1000)),
    )


if __name__ == "__main__":
    db, ledger = map(Path, sys.argv[1:])
    clock = wfsim.clock.WallClock(factor=FACTOR)
    simulation = wfsim.Simulation(scenario(ledger), db=db, clock=clock)
    print("ready", flush=True)
    simulation.run()
    sys.stdin.read()
