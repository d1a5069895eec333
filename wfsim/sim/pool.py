"""A counted number of equal places, and the line of those who wait for one.

>>> pool = Pool(2, "uplink")
>>> pool
<Pool uplink 0/2, queue 0>
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.engine.ports import Clock, Effect, Notes
from wfsim.errors import Interrupted, UsageError
from wfsim.model import bounds
from wfsim.model.record import Kind, PoolState

if TYPE_CHECKING:
    from wfsim.engine.steps import StepContext


_new = tuple.__new__


class _Ticket:
    """A place in the line: what it waits for, and whether it is still wanted.

    *number* says who came first; who is pre-empted keeps it.
    """

    __slots__ = ("amount", "event", "gone", "number", "priority", "served")

    def __init__(self, amount: int, priority: float, number: int, event: Any) -> None:
        self.amount = amount
        self.priority = priority
        self.number = number
        self.event = event
        self.served = self.gone = False


class _Hold(NamedTuple):
    """What ends the hold of one that may be pre-empted: *event*, at *until* at last."""

    event: Any
    until: float
    call_off: Callable[[], None]


class Claim:
    """What `Pool.acquire` returns: a context manager that gives back what it holds."""

    __slots__ = ("_amount", "_pool")

    def __init__(self, pool: Pool, amount: int) -> None:
        self._pool = pool
        self._amount = amount

    def release(self) -> None:
        """Give it back; a second time changes nothing."""
        amount, self._amount = self._amount, 0
        if amount:
            self._pool.release(amount)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A generator is closed when its whole simulation is: nobody is left to tell.
        if kind is not GeneratorExit:
            self.release()


class Pool:
    """Places that steps hold for a while, *capacity* of them; an attribute of a `World`.

    An attempt that finds too few free waits in line: lower *priority* first, then who
    came first, and nobody overtakes.  One that is cancelled, times out or dies leaves the
    line; what it holds it gives back where it used ``with`` or `hold`::

        with (yield from ctx.world.uplink.acquire()):
            yield from ctx.sleep(30)

    ``held`` places are taken and ``queue`` attempts wait.  Each change of either is a
    record ``pool.changed``; that an attempt whose *context* is known begins to wait and
    has waited are ``pool.queued`` and ``pool.granted``.  In a copy of
    the world its places are free: holders and waiters are not copied.  Raises
    `UsageError` for a *capacity* that is no whole number from 1 on.
    """

    __slots__ = (
        "_clock",
        "_holders",
        "_line",
        "_most",
        "_note",
        "_notes",
        "_number",
        "capacity",
        "held",
        "name",
        "queue",
    )

    def __init__(self, capacity: int, name: str = "") -> None:
        if type(capacity) is not int or capacity < 1:
            raise UsageError(
                f"a pool's capacity is {capacity!r}; give a whole number from 1 on"
            )
        self.capacity = self._most = capacity
        self.name = name
        self.held = 0
        self.queue = 0
        self._line: list[tuple[float, int, _Ticket]] = []
        self._holders: dict[_Ticket, _Hold] = {}  # those that may be pre-empted
        self._number = 0
        self._clock: Clock | None = None
        self._notes: Notes | None = None
        self._note: Any = None

    def __repr__(self) -> str:
        return f"<Pool {str(self).strip()}>"

    def __str__(self) -> str:
        return str(PoolState(self.name, self.held, self.capacity, self.queue))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pool):
            return NotImplemented
        return (self.capacity, self.held, self.queue) == (
            *(other.capacity, other.held, other.queue),
        )

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, _: Any) -> Pool:
        return Pool(self._most, self.name)

    @property
    def most(self) -> int:
        """How many places there ever are: what may be asked for at once."""
        return self._most

    def resize(self, capacity: int) -> None:
        """Change the number of places, 0 if it is shut; what is held stays held.

        Raises `UsageError` for what is no whole number from 0 on.
        """
        if type(capacity) is not int or capacity < 0:
            raise UsageError(
                f"a pool's capacity is {capacity!r}; give a whole number from 0 on"
            )
        self.capacity, before = capacity, self.capacity
        self._most = max(self._most, capacity)
        if capacity != before:
            self._serve()
            self._tell()

    def attach(self, clock: Clock, notes: Notes | None, name: str) -> None:
        """Live on *clock*, telling *notes* of each change; a world does this."""
        self._clock, self._notes = clock, notes
        self._note = None if notes is None else notes.pool
        self.name = self.name or name

    @types.coroutine
    def acquire(
        self,
        amount: int = 1,
        priority: float = 0,
        context: StepContext | None = None,
        patience: float | None = None,
    ) -> Effect[Claim]:
        """Take *amount* places, once there are so many (``yield from`` or ``await`` it).

        With the *context* of the attempt, what it waits counts as time in the queue of a
        pool, and not towards the timeout of its step unless that says so; otherwise as
        time in its step.  Who has none after *patience* seconds leaves the queue and
        raises `Interrupted`.  Raises `UsageError` for an amount that there will never be,
        and for a *priority* that is no number.
        """
        ticket = self._ticket(amount, priority)
        yield from self._take(ticket, context, patience)
        return Claim(self, amount)

    def _ticket(self, amount: int, priority: float) -> _Ticket:
        if priority != priority:
            raise UsageError(f"priority is {priority!r}; give a number")
        if not 0 < amount <= self._most:
            raise UsageError(f"{amount!r} of {self.name!r}; it has {self._most} places")
        self._number += 1
        return _Ticket(amount, priority, self._number, None)

    def _take(
        self, ticket: _Ticket, context: StepContext | None, patience: float | None = None
    ) -> Effect[None]:
        if self.queue or self.held + ticket.amount > self.capacity:
            yield from self._wait(ticket, context, patience)
        else:
            self.held += ticket.amount
            self._tell()

    def release(self, amount: int = 1) -> None:
        """Give *amount* places back; who waits for them has them at once.

        Raises `UsageError` if fewer are held.
        """
        if not 0 < amount <= self.held:
            raise UsageError(
                f"{self.name}: released {amount!r}, but only {self.held} are held"
            )
        self.held -= amount
        if self.queue:
            self._serve()
        self._tell()

    @types.coroutine
    def hold(
        self,
        context: StepContext,
        seconds: float,
        amount: int = 1,
        priority: float = 0,
        *,
        preempt: bool = False,
        patience: float | None = None,
    ) -> Effect[None]:
        """Take *amount* places, keep them for *seconds* of virtual time, give them back.

        Whatever ends the attempt of *context* meanwhile gives them back too.  Of those
        that *preempt* who has a lower *priority* takes the places of one with a higher,
        who stands in line again, before those who came later, and resumes what was left.
        *patience* is for the first place alone.  Raises `UsageError` for *seconds* that
        are no number from 0 to 1e12.
        """
        seconds = bounds.seconds(seconds, "Pool.hold()")
        if not preempt:
            with (yield from self.acquire(amount, priority, context, patience)):
                yield context.clock.timeout(seconds)
            return
        ticket, clock = self._ticket(amount, priority), context.clock
        left: float | None = seconds
        while left is not None:
            if not self._preempt(ticket):
                yield from self._take(ticket, context, patience)
            patience, event = None, clock.event()
            self._holders[ticket] = _Hold(
                event, clock.now + left, clock.call(left, partial(self._end_hold, ticket))
            )
            try:
                left = yield event
            except GeneratorExit:
                raise
            except BaseException:
                self._end_hold(ticket)
                raise

    def _end_hold(self, ticket: _Ticket, left: float | None = None) -> None:
        """Take its places from *ticket*, if it has them, with *left* seconds to go."""
        hold = self._holders.pop(ticket, None)
        if hold is None:
            return
        hold.call_off()
        hold.event.succeed(left)
        if left is None:
            self.release(ticket.amount)
        else:
            self.held -= ticket.amount

    def _preempt(self, ticket: _Ticket) -> bool:
        """Take the places of those with a higher priority, if that is enough."""
        wanted = self.held + ticket.amount - self.capacity
        worse = (each for each in self._holders if each.priority > ticket.priority)
        victims = sorted(worse, key=lambda each: (-each.priority, -each.number))
        mine = (ticket.priority, ticket.number)
        is_first = all(row[2].gone or row[:2] > mine for row in self._line)
        if wanted <= 0 or not is_first or sum(it.amount for it in victims) < wanted:
            return False
        while wanted > 0:
            victim = victims.pop(0)
            wanted -= victim.amount
            until = self._holders[victim].until
            self._end_hold(victim, max(until - self._clock.now, 0.0))  # type: ignore[union-attr]
        self.held += ticket.amount
        self._tell()
        return True

    def _wait(
        self, ticket: _Ticket, context: StepContext | None, patience: float | None
    ) -> Effect[None]:
        clock = self._clock
        if clock is None:
            raise UsageError(
                f"{self!r} is in no world that lives; make it an attribute of the World"
            )
        ticket.event, ticket.served = clock.event(), False
        heappush(self._line, (ticket.priority, ticket.number, ticket))
        self.queue += 1
        self._tell()
        self._about(Kind.POOL_QUEUED, context)
        limit = None
        if context is not None and not context.spec.timeout_counts_queue:
            limit = getattr(context, "time_limit", None)
        if limit is not None:
            limit.stand_still()
        stay = None
        if patience is not None:
            stay = clock.call(patience, partial(self._lose_patience, ticket))
        try:
            yield ticket.event
        except GeneratorExit:
            raise
        except BaseException:
            self._leave(ticket)
            raise
        finally:
            if stay is not None:
                stay()
        if not ticket.served:
            text = f"left the queue of {self.name} after {patience:g} s"
            raise Interrupted("IMPATIENT", text)
        if limit is not None:
            limit.go_on()
        self._about(Kind.POOL_GRANTED, context)

    def _lose_patience(self, ticket: _Ticket) -> None:
        if not ticket.served:
            self._leave(ticket)
            ticket.event.succeed()

    def _about(self, kind: Kind, context: StepContext | None) -> None:
        """Record what happens to the attempt of *context* in this pool."""
        if context is not None and self._notes is not None:
            self._notes.note(
                kind,
                resource=context.resource.key,
                run=context.run,
                flow=context.flow,
                step=context.step,
                attempt=context.attempt,
                text=self.name,
            )

    def _leave(self, ticket: _Ticket) -> None:
        if ticket.served:  # in the very instant in which its turn came
            self.release(ticket.amount)
            return
        ticket.gone = True
        self.queue -= 1
        self._serve()  # it may have stood before somebody who wants less
        self._tell()

    def _serve(self) -> None:
        """Give what is free to those at the head of the line."""
        line = self._line
        while line:
            ticket = line[0][2]
            if not ticket.gone:
                if self.held + ticket.amount > self.capacity:
                    return
                self.held += ticket.amount
                self.queue -= 1
                ticket.served = True
                ticket.event.succeed()
            heappop(line)

    def _tell(self) -> None:
        if self._note is not None:
            state = (self.name, self.held, self.capacity, self.queue)
            self._note(_new(PoolState, state))


def pools(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Pool]]:
    """Yield the pools among *attributes*, and in mappings there, with their names."""
    for name, value in attributes.items():
        if isinstance(value, Pool):
            yield name, value
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, Pool):
                    yield str(key), item
