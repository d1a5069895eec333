"""What a log was simulated with lies in the intervals that calibration gives back."""

from __future__ import annotations

from collections import Counter

import wfsim
from tests.sizes import FULL
from wfsim.report.history_file import to_history

SEEDS = 400 if FULL else 100
TRUTH = {
    "Attach": ({"lognormal": [3.0, 0.5]}, 0.1),
    "Copy": ({"gamma": [3.0, 10.0]}, 0.2),
    "Verify": ({"weibull": [1.5, 20.0]}, 0.05),
}
FLOW = wfsim.Flow(
    "Nightly",
    tuple(
        wfsim.Step(name, duration=wfsim.Duration.parse(spec), failure=failure)
        for name, (spec, failure) in TRUTH.items()
    ),
)
CRASHES = [wfsim.CrashAt(t=t, restart_after=5.0) for t in (20.0, 60.0)]
CANCELS = [wfsim.CancelAt(t=30.0 + 7.0 * n, resource=f"db-{n}") for n in range(6)]


def log_of(seed: int) -> wfsim.EventLog:
    """Sixty runs; two crashes, six cancels, and whoever is not done by 120 s is cut."""
    scenario = wfsim.Scenario(
        [wfsim.Resource("db", f"db-{n}") for n in range(60)],
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Nightly"),
        [FLOW],
        policy=wfsim.Policy(workers=60),
    )
    return wfsim.simulate(scenario, CRASHES + CANCELS, seed, until=120.0)


def covered(history: object, name: str) -> list[tuple[str, bool]]:
    """Which of the true numbers of step *name* lie in their intervals."""
    spec, failure = TRUTH[name]
    duration = wfsim.Duration.parse(spec)
    calibration = wfsim.calibrate(history, candidates=[duration.name])
    row = calibration.frame.set_index("step").loc[name]
    found = [
        (f"{name} p{n}", row[f"p{n}_low"] <= value <= row[f"p{n}_high"])
        for n, value in enumerate(duration.params, start=1)
    ]
    return [
        *found,
        (f"{name} failure", row["failure_low"] <= failure <= row["failure_high"]),
    ]


def test_what_a_log_was_simulated_with_is_inside_its_interval(tmp_path):
    inside: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for seed in range(SEEDS):
        past = wfsim.read_history(to_history(log_of(seed), tmp_path / "shared.txt"))
        statuses.update(past.attempts["status"].tolist())
        for name in TRUTH:
            part = past.attempts[past.attempts["step"] == name]
            inside.update(what for what, well in covered(part, name) if well)
    print(inside, statuses)
    assert min(statuses[s] for s in ("failed", "crashed", "cancelled", "running")) > 100
    # Of 100 intervals at 95 %, fewer than 88 hold the truth once in 230 times.
    assert len(inside) == 9
    assert min(inside.values()) >= 0.88 * SEEDS
