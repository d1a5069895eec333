"""Any moment of a simulation, to be gone on from.

That is so many entries of its journal, and stores, world and clock as they were then.
What a journal does not tell is kept beside it while a twin of the simulation runs, a copy
of the world most of all.  Measured: it is 80 us an entry with three pods of PolarDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, NamedTuple, TypeVar

from wfsim.errors import UsageError
from wfsim.model.journal import OF_RESOURCES, Journal
from wfsim.model.run import Change, Run
from wfsim.sim.fault_plan import Progress
from wfsim.sim.pool import Pool, pools
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.sim.sites import Site
from wfsim.sim.stores import Leased
from wfsim.sim.world import World, is_same

S = TypeVar("S", bound=Simulation)


class Moment(NamedTuple):
    """What was so just before an entry was made, and is not told by those before it.

    *asked* is how many of each demand had come, *faults* how far the faults were.
    *is_held* says that somebody had a place of a pool, or waited for one: in a prefix
    nobody does.
    """

    time: float
    world: World | None
    leased: Leased
    asked: Mapping[tuple[str | int, ...], int]
    faults: Progress
    is_held: bool = False


class Cut(NamedTuple):
    """Where a run may be cut off: after so many *entries*, at a *moment*.

    *is_after* says that the moment is that of the last one of them.  The controller has
    nothing to do for *still* seconds more.
    """

    entries: int
    moment: Moment
    is_after: bool = False
    still: float = 0.0


class RecordedJournal(Journal):
    """A journal that keeps the moment of each entry that it has been told."""

    simulation: Simulation | None = None
    """Whose journal it is; None while nothing is to be kept."""

    def append(self, run: Run, change: Change, token: int = 0) -> tuple[()]:
        """Apply *change* to *run* and keep it, and the moment with it."""
        before, moment = len(self), self._moment()
        super().append(run, change, token)
        if len(self) > before:
            self.moments.append(moment)
        return ()

    def write(self, change: Any, token: int = 0) -> None:
        """Keep a change that is not of a run, and the moment with it."""
        self.moments.append(self._moment())
        super().write(change, token)

    @property
    def moments(self) -> list[Moment]:
        """The moment of each entry, in order."""
        moments: list[Moment] = vars(self).setdefault("_moments", [])
        return moments

    @property
    def cuts(self) -> dict[tuple[str, str], Cut]:
        """What it was told to `mark`."""
        cuts: dict[tuple[str, str], Cut] = vars(self).setdefault("_cuts", {})
        return cuts

    def mark(self, site: str, when: str) -> None:
        """Keep the moment just now, which is *when* at a *site*."""
        self.cuts[site, when] = Cut(len(self), self._moment())

    def _moment(self) -> Moment:
        sim = self.simulation
        assert sim is not None
        world, last = sim.world, self.moments[-1].world if self.moments else None
        return Moment(
            sim.now,
            # A copy may serve several moments; to compare takes less time than to copy.
            last if is_same(world, last) else _copy(world),
            sim.leases.as_they_are(),
            dict(sim.schedule.begun),
            sim.plan.progress,
            any(pool.held or pool.queue for pool in self._pools),
        )

    @cached_property
    def _pools(self) -> list[Pool]:
        """The pools of the scenario and of the world, which has them from the start."""
        sim = self.simulation
        assert sim is not None
        own = {} if sim.world is None else dict(pools(vars(sim.world)))
        return [*sim.pools.values(), *own.values()]


class Recorded(Simulation):
    """A simulation of which each moment is kept."""

    journal_type = RecordedJournal

    def begin(self) -> None:
        if not self._begun:
            assert isinstance(self.journal, RecordedJournal)
            self.journal.simulation = self
            self.plan.ports.wrap_all = True
        super().begin()


class Tape:
    """The moments of a simulation from its entry number *first* on; see `after`."""

    def __init__(self, simulation: Simulation, first: int = 0) -> None:
        if not isinstance(simulation.journal, RecordedJournal):
            raise UsageError(f"{simulation!r} has kept no moments")
        self.simulation = simulation
        self.first = first
        self._moments = simulation.journal.moments

    @classmethod
    def of(cls, origin: Simulation) -> Tape:
        """Return the tape of a twin that has come as far as *origin*.

        Raises `UsageError` if the twin does not come out the same.
        """
        twin = recorded(origin)
        if twin.log.records != origin.log.records:
            raise UsageError(
                "run again, the simulation does not come to the same records: it depends "
                "on more than its scenario, seed, faults and calls; act on it with act()"
            )
        return cls(twin)

    def __len__(self) -> int:
        return self.first + len(self._moments)

    def moment(self, entry: int) -> Moment:
        """Return what was so just before the entry of that number, from 0."""
        if not self.first <= entry < len(self):
            raise UsageError(f"entry {entry}: there are {self.first} to {len(self) - 1}")
        return self._moments[entry - self.first]

    def is_still(self, entry: int) -> bool:
        """Whether nothing has happened from right after the entry before to this one."""
        if entry <= self.first:
            return False
        one, other = self.moment(entry - 1), self.moment(entry)
        return (
            one.time == other.time
            and one.leased is other.leased
            and one.asked == other.asked
            and one.world is other.world
        )

    def after(self, entries: int, *, recorded: bool = False) -> Prefix:
        """Return where all stood right after so many *entries*, controllers dropped.

        The moments of a *recorded* one are kept, so that it may have a tape too.
        """
        cut = Cut(entries, self.moment(entries - 1), is_after=True)
        return self.at(cut, recorded=recorded)

    def before(self, entry: int, *, recorded: bool = False) -> Prefix:
        """Return where all stood just before the entry of that number was made.

        That is later than right after the one before it.
        """
        return self.at(Cut(entry, self.moment(entry)), recorded=recorded)

    def at(self, cut: Cut, *, recorded: bool = False) -> Prefix:
        """Return where all stood at that *cut*, before it was still for any time."""
        kind = _prefix(type(self.simulation), recorded)
        entries, moment, is_after, _ = cut
        return kind(self.simulation, entries, moment, is_after=is_after)

    def cut(self, site: str, when: str) -> Cut | None:
        """Return the moment that was marked at *site*, None if none was."""
        journal = self.simulation.journal
        assert isinstance(journal, RecordedJournal)
        return journal.cuts.get((site, when))


class Prefix(Simulation):
    """A simulation that begins where another one stood at a *moment* of its past.

    It has the first *entries* of its journal.  No controller is up.
    """

    def __init__(
        self, origin: Simulation, entries: int, moment: Moment, *, is_after: bool = False
    ) -> None:
        super().__init__(
            origin.scenario,
            seed=origin.seed,
            faults=origin.given_faults,
            controllers=len(origin.names),
        )
        self._begun = True
        self.clock.go_on_from(moment.time)
        world = _copy(moment.world)
        self.plane.world = world
        self.journal.go_on(origin.journal, entries)
        self.resources.go_on()
        self.leases.go_on(moment.leased)
        self.log = type(self.log)(self.journal, meta=origin.log.meta)
        self.log.origin = self
        self._shown = entries
        self._record(entries)
        if world is not None:
            stood = dict(vars(world))
            world.attach(self.clock, self.draws, self.journal)
            # To attach it may begin something anew, as after the death of a process.
            vars(world).update(_public(stood))
            self.resources.subscribe(world.heard)
            if is_after:
                self._tell_last(world, origin.journal, entries - 1)
        self.plane.set_up()
        self.plan.go_on(moment.faults)
        self.schedule.begun.update(moment.asked)
        self.schedule.start()

    def _new_world(self, scenario: Scenario) -> None:
        """Return none: it is given that of its moment."""

    def _record(self, entries: int) -> None:
        """Keep moments from now on, if that is what it is for."""

    def _tell_last(self, world: World, journal: Journal, entry: int) -> None:
        """Tell *world* of the last entry, which it had not yet heard of."""
        change = journal.change(entry)
        if isinstance(change, OF_RESOURCES):
            world.heard(getattr(change, "before", None), getattr(change, "after", None))

    def twin(self, kind: type[Simulation] | None = None) -> Simulation:
        """Raise `UsageError`: it is no function of scenario, seed, faults and calls."""
        raise UsageError(
            "what came before a prefix is not run again; take one of its simulation"
        )


class _RecordedPrefix(Prefix):
    journal_type = RecordedJournal
    kept: list[Site]
    """The sites that it has passed itself."""

    def _record(self, entries: int) -> None:
        assert isinstance(self.journal, RecordedJournal)
        self.journal.simulation = self
        self.kept = self.plan.ports.keep_sites(self.journal.mark)


def recorded(origin: Simulation) -> Simulation:
    """Return a twin of *origin* of which each moment is kept."""
    return origin.twin(mixed(Recorded, type(origin)))  # type: ignore[arg-type]


def _prefix(origin: type[Simulation], recorded: bool) -> type[Prefix]:
    return mixed(_RecordedPrefix if recorded else Prefix, origin)  # type: ignore[arg-type]


@cache
def mixed(kind: type[S], origin: type[Simulation]) -> type[S]:
    """Return *kind* of just the subclass of `Simulation` that *origin* is."""
    bare = [it for it in origin.__mro__ if it not in Recorded.__mro__]
    own = [it for it in bare if not issubclass(it, (Recorded, Prefix))]
    if not own:
        return kind
    return type(f"{kind.__name__}{own[0].__name__}", (kind, own[0]), {})


def _public(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in attributes.items() if name[0] != "_"}


def _copy(world: World | None) -> World | None:
    return None if world is None else world.copy()
