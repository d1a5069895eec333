"""Whatever a valid scenario file says: it runs to its end, and twice the same way.

What a file may say is drawn key by key, so that keys meet which nobody thought of
together: a slow API and a deadline, places of a pool and a crash, a cache that lags.
"""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wfsim
from tests.sizes import FULL
from wfsim import Kind, Memento, Scenario

EXAMPLES = 2000 if FULL else 25
ENDED = {"completed", "interrupted", "error", "cancelled", "superseded"}

counts = st.integers(1, 4)
shares = st.sampled_from([0, 0.1, 0.5, 1])
seconds = st.sampled_from([0.5, 3, 10, 33.5])
lengths = st.one_of(
    seconds,
    st.sampled_from(
        [
            {"exponential": [4]},
            {"lognormal": [2, 0.5]},
            {"percentiles": {"p50": 3, "p99": 40}},
            {"triangular": [1, 2, 9]},
            {"weibull": [1.3, 5]},
        ]
    ),
)


def some(**keys):
    """A mapping with any of *keys*."""
    return st.fixed_dictionaries({}, optional=keys)


retries = some(limit=st.integers(0, 3), delay=seconds, factor=st.sampled_from([1, 2]))
steps = some(duration=lengths, failure=shares, retry=retries, timeout=seconds)
times = st.one_of(
    st.fixed_dictionaries({"mean": seconds, "count": counts}),
    st.fixed_dictionaries({"every": seconds, "count": counts}),
    st.fixed_dictionaries({"at": st.lists(seconds, min_size=1, max_size=4)}),
)
writes = st.integers(1, 25)
faults = st.one_of(
    st.fixed_dictionaries(
        {
            "CrashAt": st.fixed_dictionaries(
                {"write": writes, "restart_after": seconds},
                optional={"when": st.just("before")},
            )
        }
    ),
    st.fixed_dictionaries(
        {"FailSave": st.fixed_dictionaries({"write": writes, "applied": st.booleans()})}
    ),
    st.fixed_dictionaries({"RefuseWrite": st.fixed_dictionaries({"write": writes})}),
    st.dictionaries(
        st.sampled_from(["ApiDown", "StaleRead", "DropWatch", "PauseController"]),
        st.fixed_dictionaries({"t": seconds, "for_": seconds}),
        min_size=1,
        max_size=1,
    ),
)
rates = st.fixed_dictionaries({"mtbf": st.sampled_from([30, 300]), "mttr": seconds})
api_rates = st.fixed_dictionaries(
    {"per_second": st.sampled_from([0.5, 5]), "burst": counts}
)
policies = some(
    retry=retries,
    timeout=seconds,
    deadline=st.sampled_from([10, 60]),
    retention=counts,
    cancel_tick=st.sampled_from([0, 5]),
)
documents = some(
    duration=lengths,
    failure=shares,
    policy=policies,
    faults=st.lists(faults, max_size=3),
    rates=some(controller=rates, api=rates),
    lag=seconds,
    warm_up=seconds,
)


@st.composite
def files(draw):
    """A flow, which may be one of a service, and a scenario of it."""
    names = [f"S{number}" for number in range(draw(counts))]
    flow = {
        "flowName": "F",
        "steps": [{"stepName": name, **draw(steps)} for name in names],
    }
    flow.update(draw(some(deadline=seconds, recoverFromFirstStep=st.just(True))))
    served = draw(st.booleans())
    if served:
        for step, following in zip(flow["steps"], [*names[1:], "Tell"], strict=True):
            step.update(onSuccess=following, onFailure="Tell")
        flow["steps"].append({"stepName": "Tell"})
    pools = draw(some(hands=st.integers(2, 3)))
    own = {"duration": lengths, "failure": shares}
    if pools:
        own["uses"] = st.fixed_dictionaries({"hands": st.integers(1, 2)})
    what = {"flow": "F"} if served else {"name": "r-{n}"}
    said = draw(documents)
    said |= {
        "flows" if served else "flow": "f.yaml",
        "arrivals": [{**what, **draw(times)}],
        "capacities": {"pools": pools, **draw(some(workers=counts, api_rate=api_rates))},
        "steps": {name: draw(some(**own)) for name in names},
    }
    if said.get("rates") or draw(st.booleans()):
        said["horizon"] = draw(st.sampled_from([100, 1000]))
    if served and draw(st.booleans()):
        pace = {"watch_tick": 0, "nodes_per_tick": None}
        said["policy"] = {**said.get("policy", {}), **pace}
    return flow, said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("scenarios")


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(files())
def test_whatever_a_scenario_file_says_it_runs_and_twice_the_same_way(folder, both):
    flow, said = both
    # JSON is YAML, too.
    (folder / "f.yaml").write_text(json.dumps(flow))
    path = folder / "scenario.yaml"
    path.write_text(json.dumps(said))
    log = wfsim.simulate(Scenario.load(path), seed=1)
    assert wfsim.simulate(Scenario.load(path), seed=1).digest() == log.digest()
    assert [record.seq for record in log] == list(range(len(log)))
    assert all(before.time <= after.time for before, after in pairwise(log))
    for record in log:
        if isinstance(record.value, Memento):
            reads(record.value, linear="flow" in said)
    runs, parts = wfsim.tables.runs(log), wfsim.tables.breakdown(log)
    if "horizon" not in said:
        assert set(runs["status"]) <= ENDED
    names = ["queued", "pool_queue", "steps", "retries", "recovery", "waiting", "other"]
    pieces = parts[names]
    assert (pieces >= 0.0).all(axis=None)
    assert ((pieces.sum(axis=1) - parts["duration"]).abs() < 1e-6).all()
    holds_no_more(log, said["capacities"]["pools"].get("hands", 0))


def reads(run, *, linear):
    """Assert that *run* reads back from its text, and has no step left out."""
    assert Memento.from_json(run.key, run.to_json(), kind=run.resource.kind) == run
    done = [step.status == "completed" for step in run.steps]
    if linear:
        assert done == sorted(done, reverse=True)
        assert run.status != "completed" or all(done)


def holds_no_more(log, places):
    for record in log.filter(Kind.POOL_CHANGED):
        held, _, rest = record.text.removeprefix("hands ").partition("/")
        assert 0 <= int(held) <= places == int(rest.partition(",")[0])
