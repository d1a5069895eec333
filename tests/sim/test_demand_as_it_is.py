"""Demand and capacity as they are, each against theory or a program of SimPy's own."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import simpy

import wfsim
from wfsim.demand import Arrivals, Rate, Shifts, Times
from wfsim.errors import DefinitionError
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.rates import expanded

MACHINE = wfsim.StateMachine("job").stable("Running", "Interrupt")
MACHINE.unstable("Creating", run="F")


def queue(*arrivals, service=None, workers=1, horizon=1e6, drain=60_000.0, **more):
    """Jobs that a worker serves for 10 s on average, in order of arrival."""
    length = {"exponential": 10} if service is None else service
    flow = wfsim.Flow("F", (wfsim.Step("Serve", "Serve", duration=length),))
    more.setdefault("policy", wfsim.Policy(workers=workers))
    return wfsim.Scenario(
        machine=MACHINE, flows=[flow], arrivals=arrivals, horizon=horizon, drain=drain,
        **more,
    )  # fmt: skip


def jobs(times, name="job-{n}", **more):
    return Arrivals(wfsim.Resource("job", name), times, **more)


def sojourns(scenario, seed=1):
    """Return the seconds from request to end of each run, by name of its resource."""
    parts = wfsim.tables.breakdown(wfsim.simulate(scenario, seed=seed))
    return parts.set_index("resource")["duration"]


def mean(values):
    return float(values.mean())


# What comes.


def test_renewal_arrivals_of_any_distribution_make_a_gi_m_1():
    """Erlang-2 arrivals at a load of 0.8: W = 1 / (mu (1 - s)), s = A*(mu (1 - s))."""
    times = Times(between={"gamma": [2, 6.25]})
    root = 0.5
    for _ in range(200):
        root = (1.0 + 6.25 * 0.1 * (1.0 - root)) ** -2
    expected = 10.0 / (1.0 - root)
    assert mean(sojourns(queue(jobs(times)))) == pytest.approx(expected, rel=0.12)


def test_batches_make_an_m_x_m_1():
    """Batches of 3 at a load of 0.6: L = r / (1 - r) (E[X^2] + E[X]) / (2 E[X])."""
    times = Times(mean=50.0, batch=3)
    load = 3 / 50 * 10
    number = load / (1 - load) * (9 + 3) / (2 * 3)
    assert mean(sojourns(queue(jobs(times)))) == pytest.approx(number / 0.06, rel=0.12)


def test_a_batch_is_drawn_and_rounded_and_counts_each():
    times = Times(every=10, batch={"uniform": [1, 3]}, count=7)
    listed = list(times.each(KeyedDraws(2)))
    assert len(listed) == 7
    sizes = [listed.count(time) for time in dict.fromkeys(listed)]
    assert set(sizes[:-1]) <= {1, 2, 3}
    assert Times(at=[5], batch=2).most(10.0) == 2.0
    assert list(Times(at=[5], batch=2).each(KeyedDraws(0))) == [5.0, 5.0]


def test_a_rate_over_the_day_is_thinned_to_what_each_hour_has():
    day = 86400.0
    times = Times(rates=[[0, 0.0], [8 * 3600, 0.05], [18 * 3600, 0.01]], until=20 * day)
    hours = [time % day / 3600 for time in times.each(KeyedDraws(3))]
    assert not [hour for hour in hours if hour < 8]
    in_day = len([hour for hour in hours if hour < 18])
    # 20 days of 10 hours at 0.05 a second, with the deviation of a Poisson number.
    assert in_day == pytest.approx(36_000, abs=4 * math.sqrt(36_000))
    assert len(hours) - in_day == pytest.approx(4_320, abs=4 * math.sqrt(4_320))
    assert times.most(20 * day) == pytest.approx(40_320)


def test_arrivals_are_resampled_from_what_was_seen():
    seen = [0.0, 1.0, 3.0, 10.0, 10.0, 20.0]
    times = list(Times.resampled(seen, count=4000).each(KeyedDraws(1)))
    gaps = [round(b - a, 6) for a, b in pairwise(times)]
    assert set(gaps) == {0.0, 1.0, 2.0, 7.0, 10.0}
    assert sum(gaps) / len(gaps) == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"between": 0}, "between is 0 s on average; give 0.001 s or more"),
        ({"rates": [[0, 0]]}, "rates are 0 at all times"),
        ({"rates": [[5, 1]]}, "rates is .*; give a list of .*, the first second 0"),
        ({"rates": [[0, 1], [0, 2]]}, "each later than the one before"),
        ({"rates": [[0, 1], [99999, 2]]}, "rates begin at 99999 s, and the period ends"),
        ({"rates": 3}, "give a list of"),
        ({"mean": 3, "between": 4}, "give one of at, every, mean, rate, between and"),
        ({"between": {"gauss": 3}}, "between is .*unknown distribution"),
    ],
)
def test_times_that_make_no_sense_are_refused(given, words):
    with pytest.raises(DefinitionError, match=words):
        Times(**given)


# What fails, and what waits between two tries.


def test_repairs_take_what_their_distribution_says():
    rate = Rate(mtbf={"constant": 100}, mttr={"uniform": [10, 30]})
    faults = expanded({"api": rate}, KeyedDraws(1), [], 1e5)
    lengths = [fault.for_ for fault in faults]
    assert all(10 <= each <= 30 for each in lengths)
    assert sum(lengths) / len(lengths) == pytest.approx(20.0, rel=0.03)
    assert len(faults) == pytest.approx(1e5 / 120, rel=0.02)
    assert faults[0].t == 100.0
    with pytest.raises(DefinitionError, match=r"mttr is .*; give seconds"):
        Rate(mtbf=3, mttr="often")


def test_jitter_takes_a_share_of_each_wait_that_is_drawn_anew():
    step = wfsim.Step("S", duration=0, failure=1.0)

    def waits(jitter):
        retry = wfsim.Retry(limit=400, delay=10.0, jitter=jitter)
        log = wfsim.simulate(
            wfsim.Scenario.of_flow(wfsim.Flow("F", (step,), retry=retry))
        )
        starts = wfsim.tables.steps(log)["start"].tolist()
        return [b - a for a, b in pairwise(starts)]

    assert waits(0.0) == [10.0] * 400
    full = waits(1.0)
    assert min(full) < 1.0
    assert max(full) <= 10.0
    assert sum(full) / 400 == pytest.approx(5.0, abs=4 * 2.89 / 20)
    half = waits(0.5)
    assert 5.0 <= min(half) < 5.3
    assert sum(half) / 400 == pytest.approx(7.5, abs=4 * 1.45 / 20)


# Who goes first, who goes away, and what there is when.


def cobham(rate_of_first, rate_of_second, mu=0.1):
    """Return the time in system of two classes of an M/M/1 with priorities (1954)."""
    first, second = rate_of_first / mu, rate_of_second / mu
    rest = (first + second) / mu
    waits = rest / (1 - first), rest / (1 - first) / (1 - first - second)
    return tuple(wait + 1 / mu for wait in waits)


def two_classes():
    return (
        jobs(Times(rate=0.02), "iron-{n}"),
        jobs(Times(rate=0.05), "gold-{n}", priority=-1),
    )


def test_a_class_with_priority_for_a_worker_waits_less_as_cobham_says():
    """Of 20 seeds the means of the classes deviate by 4.5 % and 11 %."""
    times = sojourns(queue(*two_classes(), drain=150_000.0))
    gold = times[times.index.str.startswith("gold")]
    of_gold, of_iron = cobham(0.05, 0.02)
    assert mean(gold) == pytest.approx(of_gold, rel=0.09)
    assert mean(times.drop(gold.index)) == pytest.approx(of_iron, rel=0.22)


def line_in_simpy(parts, preempts):
    """Return the times in system at one place of SimPy's, by name, in order of arrival.

    *parts* has the second of each arrival, and for how long each is to be served.
    """
    env, ends = simpy.Environment(), {}
    kind = simpy.PreemptiveResource if preempts else simpy.PriorityResource
    place = kind(env, 1)

    def serve(name, arrived, left):
        yield env.timeout(arrived)
        rank = (0 if name.startswith("gold") else 1, arrived)
        while name not in ends:
            with place.request(priority=rank) as request:
                yield request
                begun = env.now
                try:
                    yield env.timeout(left)
                    ends[name] = env.now - arrived
                except simpy.Interrupt:
                    left -= env.now - begun

    for name, part in parts.iterrows():
        env.process(serve(name, part.arrived, part.steps))
    env.run()
    return ends


@pytest.mark.parametrize("preempts", [False, True])
def test_two_classes_share_a_place_as_in_a_program_of_simpys(preempts):
    """Who is pre-empted resumes what was left; equal to the last digit."""
    log = wfsim.simulate(
        queue(
            *two_classes(), drain=4000.0, policy=wfsim.Policy(workers=10_000),
            pools={"place": 1},
            settings={"Serve": {"uses": {"place": 1}, "preempts": preempts}},
        ),
        seed=1,
    )  # fmt: skip
    parts = wfsim.tables.breakdown(log).set_index("resource")
    ends = wfsim.tables.runs(log).set_index("resource")["end"]
    parts["arrived"] = ends - parts["duration"]
    assert len(parts) == 289
    assert line_in_simpy(parts, preempts) == parts["duration"].to_dict()


def test_who_is_pre_empted_works_in_all_as_long_as_without():
    arrivals = (
        jobs(Times(at=[0.0]), "low"), jobs(Times(at=[4.0]), "high", priority=-1),
    )  # fmt: skip
    made = queue(
        *arrivals, service=10, drain=None, policy=wfsim.Policy(workers=9),
        pools={"p": 1}, settings={"Serve": {"uses": {"p": 1}, "preempts": True}},
    )  # fmt: skip
    log = wfsim.simulate(made)
    parts = wfsim.tables.breakdown(log).set_index("resource")
    assert parts["duration"].to_dict() == {"low": 20.0, "high": 10.0}
    assert parts["pool_queue"].to_dict() == {"low": 10.0, "high": 0.0}
    assert parts["steps"].tolist() == [10.0, 10.0]


def test_a_step_with_code_cannot_be_pre_empted():
    flow = wfsim.Flow("F", (wfsim.Step("Serve"),))
    with pytest.raises(DefinitionError, match="preempts is True; its code cannot resume"):
        wfsim.Scenario(
            [wfsim.Resource("job", "j")], MACHINE, [flow],
            [wfsim.step("Serve")(lambda context: None)],
            pools={"p": 1}, settings={"Serve": {"uses": {"p": 1}, "preempts": True}},
        )  # fmt: skip


def abandonment(servers, arrivals, service, patience):
    """Return the share that leaves an M/M/c+M unserved, by its birth-death chain."""
    weights = [1.0]
    for number in range(1, 400):
        leaving = min(number, servers) / service + max(number - servers, 0) / patience
        weights.append(weights[-1] * arrivals / leaving)
    queue_length = sum(max(n - servers, 0) * w for n, w in enumerate(weights))
    return queue_length / sum(weights) / patience / arrivals


def test_the_impatient_leave_the_queue_for_a_worker_as_in_an_erlang_a():
    times = Times(rate=0.25)
    made = queue(jobs(times, patience={"exponential": 20}), workers=2, drain=40_000.0)
    runs = wfsim.tables.runs(wfsim.simulate(made, seed=1))
    expected = abandonment(2, 0.25, 10.0, 20.0)
    assert 0.2 < expected < 0.35
    left = float((runs["status"] == "cancelled").mean())
    assert left == pytest.approx(expected, abs=0.015)
    assert set(runs["status"]) == {"cancelled", "completed"}


def test_the_impatient_leave_the_queue_for_a_place_too():
    settings = {"Serve": {"uses": {"p": 1}, "patience": {"exponential": 20}}}
    made = queue(
        jobs(Times(rate=0.25)), drain=20_000.0, policy=wfsim.Policy(workers=10_000),
        pools={"p": 2}, settings=settings,
    )  # fmt: skip
    runs = wfsim.tables.runs(wfsim.simulate(made, seed=1))
    left = runs[runs["status"] == "interrupted"]
    expected = abandonment(2, 0.25, 10.0, 20.0)
    assert len(left) / len(runs) == pytest.approx(expected, abs=0.015)
    assert left["error"].str.startswith("IMPATIENT: left the queue of p after").all()


SHIFTS = Shifts([[0, 0], [28_800, 2], [64_800, 1]])


def in_simpy(arrivals, lengths, shifts, end):
    """Return the times in system of jobs whose servers come and go in shifts."""
    env, line, ends = simpy.Environment(), [], []
    servers = {"busy": 0}

    def serve(arrived, length):
        yield env.timeout(length)
        servers["busy"] -= 1
        ends.append(env.now - arrived)
        begin()

    def begin():
        while line and servers["busy"] < shifts.at(env.now):
            servers["busy"] += 1
            env.process(serve(*line.pop(0)))

    def come():
        for arrival, length in zip(arrivals, lengths, strict=True):
            yield env.timeout(arrival - env.now)
            line.append((arrival, length))
            begin()

    def shift():
        for time, _ in shifts.changes(0.0):
            yield env.timeout(time - env.now)
            begin()

    env.process(come())
    env.process(shift())
    env.run(until=end)
    return ends


@pytest.mark.parametrize("server", ["workers", "p"])
def test_at_night_nobody_works_as_in_a_program_of_simpys(server):
    """The same arrivals and lengths in both: equal to the last digit but for rounding."""
    draws, day = KeyedDraws(1), 86_400.0
    moments = sorted(3 * day * draws.uniform("moment", n) for n in range(400))
    lengths = [-300 * math.log1p(-draws.uniform("length", n)) for n in range(400)]
    log = wfsim.simulate(
        wfsim.Scenario(
            machine=MACHINE,
            flows=[wfsim.Flow("F", (wfsim.Step("Serve"),))],
            steps=[wfsim.step("Serve")(lambda ctx: ctx.sleep(_length(ctx, lengths)))],
            arrivals=[jobs(Times(at=moments))],
            pools={"p": 1} if server == "p" else {},
            settings={"Serve": {"uses": {"p": 1}}} if server == "p" else {},
            shifts={server: SHIFTS},
            horizon=5 * day,
        )
    )
    parts = wfsim.tables.breakdown(log)
    expected = in_simpy(moments, lengths, SHIFTS, 5 * day)
    assert sorted(parts["duration"]) == pytest.approx(sorted(expected))


def _length(context, lengths):
    return lengths[int(context.resource.name.removeprefix("job-"))]


def test_utilisation_knows_how_many_there_were():
    made = queue(
        jobs(Times(every=10_000, start=30_000)), service=5_000, drain=86_400.0,
        horizon=172_800.0, shifts={"workers": SHIFTS},
    )  # fmt: skip
    study = wfsim.sweep(lambda: made, replications=1)
    # 0 until 8:00, 2 until 18:00, then 1 until midnight.
    assert study.loads["places"].tolist() == [pytest.approx((2 * 10 + 6) / 24)]
    assert SHIFTS.mean(28_800, 64_800) == 2.0
    assert (SHIFTS.most, SHIFTS.at(86_400 + 70_000)) == (2, 1)


def test_a_pool_tells_of_its_places_as_they_come_and_go():
    made = queue(
        jobs(Times(at=[0.0])), service=10, drain=None, pools={"p": 3},
        settings={"Serve": {"uses": {"p": 1}}}, horizon=50.0,
        shifts={"p": Shifts([[0, 0], [20, 3]], period=40)},
    )  # fmt: skip
    log = wfsim.simulate(made)
    rows = wfsim.tables.utilisation(log)
    rows = rows[rows["name"] == "p"]
    assert rows[["start", "busy", "queue", "capacity"]].values.tolist() == [
        [0.0, 0, 1, 0.0],
        [20.0, 1, 0, 3.0],
        [30.0, 0, 0, 3.0],
    ]
    # The last change ends the log: nothing is known of what comes after it.
    assert log.records[-1].value.capacity == 0


def test_a_shift_of_what_there_is_not_is_refused():
    with pytest.raises(DefinitionError, match="shifts: no pool 'hand'"):
        queue(jobs(Times(mean=1)), shifts={"hand": SHIFTS})
    with pytest.raises(DefinitionError, match=r"workers is 3; give Shifts\(...\)"):
        queue(jobs(Times(mean=1)), shifts={"workers": 3})
    with pytest.raises(DefinitionError, match=r"levels is .*; give a list of"):
        Shifts([[0, 2.5]])


def test_a_scenario_file_says_all_of_it(tmp_path):
    (tmp_path / "one.yaml").write_text("flowName: One\nsteps: [{stepName: Serve}]\n")
    (tmp_path / "times.csv").write_text("time\n0\n4\n10\n")
    (tmp_path / "s.yaml").write_text(
        """\
flow: one.yaml
duration: 5
resources: []
arrivals:
- {name: "gold-{n}", between: {gamma: [2, 30]}, priority: -1, patience: 60, batch: 2}
- {name: "iron-{n}", rates: [[0, 0.01], [28800, 0.1]], period: 86400}
- {name: "old-{n}", file: times.csv, resample: true, start: 5}
steps:
  Serve: {uses: {hands: 1}, patience: {exponential: 30}, preempts: true}
capacities:
  workers: 3
  pools: {hands: 2}
  shifts:
    workers: {levels: [[0, 1], [28800, 3]]}
    hands: {levels: [[0, 0], [60, 2]], period: 120}
policy: {retry: {jitter: 0.5}}
rates: {api: {mtbf: 3600, mttr: {lognormal: [3, 1]}}}
horizon: 3600
"""
    )
    made = wfsim.Scenario.load(tmp_path / "s.yaml")
    gold, iron, old = made.arrivals
    assert (gold.priority, gold.patience.mean, gold.times.batch.mean) == (-1, 60.0, 2.0)
    assert iron.times.rates == ((0.0, 0.01), (28800.0, 0.1))
    assert old.times.between == wfsim.Duration("empirical", (4.0, 6.0))
    assert made.shifts["workers"] == Shifts([[0, 1], [28800, 3]])
    assert made.policy.retry.jitter == 0.5
    assert made.rates["api"].down.mean == pytest.approx(math.exp(3.5))
    assert len(wfsim.simulate(made)) > 100


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("capacities: {shifts: {hand: {levels: [[0, 1]]}}}", "4: no pool 'hand'"),
        ("arrivals: [{name: 'a-{n}', rates: [[1, 1]]}]", "4: .*rates.* is wrong: give a"),
        (
            "arrivals: [{name: 'a-{n}', mean: 1, resample: true}]",
            "resample goes with file",
        ),
        ("rates: {api: {mtbf: 1, mttr: x}}", "4: .*mttr.* is 'x'; give seconds"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(tmp_path, line, problem):
    (tmp_path / "one.yaml").write_text("flowName: One\nsteps: [{stepName: Serve}]\n")
    file = tmp_path / "s.yaml"
    file.write_text(f"flow: one.yaml\nduration: 5\nresources: [{{name: x}}]\n{line}\n")
    with pytest.raises(DefinitionError, match=problem):
        wfsim.Scenario.load(file)
