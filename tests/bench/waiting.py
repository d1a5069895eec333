"""Ten steps, each of which waits for a day: one flow in a fresh world."""

from __future__ import annotations

import wfsim

DAY = 86_400.0
NAMES = tuple(f"S{index}" for index in range(10))


def step(name):
    def body(context):
        yield from context.sleep(DAY)
        return {name: name.lower()}

    body.__name__ = name
    return body


def scenario():
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    machine.unstable("Creating", run="W")
    flow = wfsim.Flow("W", tuple(map(wfsim.Step, NAMES)))
    return wfsim.Scenario(
        [wfsim.Resource("w", "one", state="Creating")],
        machine,
        [flow],
        map(step, NAMES),
        horizon=11 * DAY,
    )


def by_wfsim(made):
    """Return the log of one flow in a fresh world of *made*, mementos and log on."""
    return wfsim.Simulation(made, seed=1).run()


def outputs(log):
    """Return what the steps gave; the run has completed after ten days."""
    last = log.origin.mementos()[-1]
    assert str(last.status) == "completed"
    assert last.finished == len(NAMES) * DAY
    return {key: value for each in last.steps for key, value in each.output.items()}
