"""What a durable step of workload W is made of, by hand, and nothing around it."""

from __future__ import annotations

import math
from collections import deque

import pandas as pd
from wfsim.sim.recording import Recorder

import wfsim
from tests.bench import workload
from tests.bench.queueing import Outcome
from tests.bench.workload import DELAY, MEAN, RETRIES, STEPS, P
from wfsim.model.frozen import EMPTY
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento
from wfsim.model.resource import Key
from wfsim.sim.clock import VirtualClock
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.stores import InMemoryMementos


def by_parts(instances, seed, servers=None):
    """Return the same by hand, with what makes wfsim's steps durable and comparable.

    Keyed draws, a memento for each transition, a store that tells a log, the table made
    of that, and nothing around them: no engine with these could be faster.  The servers
    are counted, as wfsim's pools are.
    """
    clock, log = VirtualClock(), EventLog()
    store, draws = InMemoryMementos({}), KeyedDraws(seed)
    store.on_save = (Recorder(log, clock).memento,)
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
        run = Memento.new(1, flow, key, now=clock.now)
        own = draws.within(*key, run.key)
        store.save(run, 0)
        for index, step in enumerate(STEPS):
            for number in range(1, RETRIES + 2):
                run = run.start_step(index, clock.now)
                store.save(run, 0)
                seconds = -MEAN * math.log1p(-own.uniform(step, number, "duration"))
                yield from worked(seconds)
                if own.uniform(step, number, "failure") >= P:
                    break
                again = clock.now + DELAY
                run = run.fail_step(index, clock.now, "by chance", again)
                store.save(run, 0)
                yield clock.timeout(DELAY)
            run = run.complete_step(index, clock.now, EMPTY)
            store.save(run, 0)
        run = run.complete(clock.now)
        store.save(run, 0)
        latest[name] = run.status.value

    for index, arrival in enumerate(workload.arrivals(instances, seed)):
        clock.process(instance(f"r{index}", arrival))
    while clock.advance(math.inf):
        pass
    frame = pd.DataFrame(list(latest.items()), columns=["run", "status"])
    return Outcome(wfsim.tables.steps(log), frame)
