"""The gate: how many calls a step costs.  Calls are counted, so the figure is exact."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import wfsim
from tests.bench import workload
from tests.bench.calls import STEPS, calls
from tests.sizes import FULL

BUDGET = 45
ROOT = Path(__file__).parent.parent.parent


def test_a_step_costs_no_more_calls_than_its_budget(capsys):
    # In an interpreter of its own: what other tests have imported registers classes and
    # listeners, and answering those would be counted.
    command = [sys.executable, "-m", "tests.bench.calls"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    per_raw, per_step = map(float, found.stdout.split())
    with capsys.disabled():
        print(f"\ncalls a step: {per_step:.1f} (raw {per_raw:.1f}, budget {BUDGET})")
    assert per_step <= BUDGET


def test_a_step_costs_as_many_calls_among_ten_times_as_many():
    full = FULL
    few, many = (
        calls(workload.simulation(steps // len(STEPS), seed=1).run) / steps
        for steps in (1000, 1_000_000 if full else 10_000)
    )
    assert many <= few * 1.05


def test_a_run_costs_as_many_calls_after_ten_times_as_many_of_its_resource():
    def wanted(resource):
        return "go" in resource.annotations

    @wfsim.step
    def Work(context):
        yield from context.sleep(1.0)
        yield from context.update(annotations={"go": None})

    def engine_after(runs):
        machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
        scenario = wfsim.Scenario(
            [wfsim.Resource("w", "r", state="Running")],
            machine.transition("Running", "Busy", when=wanted, run="W"),
            [wfsim.Flow("W", (wfsim.Step("Work"),))],
            [Work],
            triggers=[
                wfsim.demand.Trigger(
                    wfsim.demand.Times(every=10, count=runs), annotations={"go": ""}
                )
            ],
        )
        return wfsim.Simulation(scenario)

    few, many = (calls(engine_after(runs).run) / runs for runs in (100, 1000))
    assert many <= few * 1.05
