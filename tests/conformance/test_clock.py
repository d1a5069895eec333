"""What the engine takes for granted of every clock."""

from __future__ import annotations

from wfsim.errors import Cancelled


def test_a_process_goes_on_when_its_time_has_passed(any_clock):
    log = []

    def walk():
        for seconds in (2, 0, 3.5):
            yield any_clock.timeout(seconds)
            log.append(any_clock.now)

    any_clock.process(walk())
    any_clock.run()
    assert log == [2, 2, 5.5]


def test_an_event_wakes_those_who_wait_with_its_value(any_clock):
    log = []
    event = any_clock.event()

    def wait(name):
        value = yield event
        log.append((any_clock.now, name, value))

    for name in ("a", "b"):
        any_clock.process(wait(name))
    any_clock.call(3, lambda: event.succeed("news"))
    any_clock.run()
    assert log == [(3, "a", "news"), (3, "b", "news")]


def test_a_process_waits_for_another_and_gets_its_result(any_clock):
    log = []

    def child():
        yield any_clock.timeout(2)
        return "done"

    def parent():
        value = yield any_clock.process(child())
        log.append((any_clock.now, value))

    any_clock.process(parent())
    any_clock.run()
    assert log == [(2, "done")]


def test_an_exception_is_thrown_past_a_step_that_swallows_errors(any_clock):
    log = []

    def stubborn():
        while True:
            try:
                yield any_clock.timeout(100)
            except Exception:
                log.append("swallowed")

    def guarded():
        try:
            yield from stubborn()
        except Cancelled:
            log.append(any_clock.now)

    process = any_clock.process(guarded())
    any_clock.call(7, lambda: any_clock.throw(process, Cancelled()))
    any_clock.run(until=10)
    assert log == [7]


def test_calls_at_one_time_are_made_in_the_order_of_asking(any_clock):
    log = []
    for name in "abc":
        any_clock.call(1, lambda name=name: log.append((any_clock.now, name)))
    any_clock.run()
    assert log == [(1, "a"), (1, "b"), (1, "c")]
