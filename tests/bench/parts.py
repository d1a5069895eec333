"""What a durable step of workload W is made of, by hand, and nothing around it."""

from __future__ import annotations

import math
from collections import deque

import pandas as pd

import wfsim
from tests.bench import workload
from tests.bench.queueing import Outcome
from tests.bench.workload import DELAY, MEAN, RETRIES, STEPS, P
from wfsim.model.journal import Journal
from wfsim.model.log import EventLog
from wfsim.model.resource import Key
from wfsim.model.run import Begin, Complete, CompleteRun, Fail, Run, Start
from wfsim.sim.clock import VirtualClock
from wfsim.sim.draws import KeyedDraws


def by_parts(instances, seed, servers=None):
    """Return the same by hand, with what makes wfsim's steps durable and comparable.

    Keyed draws, an entry of a journal for each change, the table made of that, and
    nothing around them: no engine with these could be faster.  The servers
    are counted, as wfsim's pools are.
    """
    clock = VirtualClock()
    journal, draws = Journal(clock), KeyedDraws(seed)
    append = journal.append
    flow = wfsim.Flow("W", tuple(map(wfsim.Step, STEPS)))
    latest, queue, free = {}, deque(), servers or math.inf

    def worked(seconds):
        nonlocal free
        if free:
            free -= 1
        else:
            queue.append(clock.event())
            yield queue[-1]
        yield clock.timeout(seconds)
        if queue:
            queue.popleft().succeed()
        else:
            free += 1

    def instance(name, arrival):
        yield clock.timeout(arrival)
        key = Key("w", "default", name)
        run = Run("1-W", key)
        append(run, Begin.of(flow, run.key, key))
        own = draws.within(*key, run.key)
        for index, step in enumerate(STEPS):
            for number in range(1, RETRIES + 2):
                append(run, Start(index))
                seconds = -MEAN * math.log1p(-own.uniform(step, number, "duration"))
                yield from worked(seconds)
                if own.uniform(step, number, "failure") >= P:
                    break
                append(run, Fail(index, "by chance", clock.now + DELAY))
                yield clock.timeout(DELAY)
            append(run, Complete(index))
        append(run, CompleteRun())
        latest[name] = run.status.value

    for index, arrival in enumerate(workload.arrivals(instances, seed)):
        clock.process(instance(f"r{index}", arrival))
    while clock.advance(math.inf):
        pass
    frame = pd.DataFrame(list(latest.items()), columns=["run", "status"])
    return Outcome(wfsim.tables.steps(EventLog(journal)), frame)
