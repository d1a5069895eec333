"""The plugin for pytest: golden logs, convergence, and fake worlds on a clock.

pytest finds it by its entry point ``wfsim``; ``-p no:wfsim`` leaves it out.  It loads the
rest of wfsim only when a test asks for a fixture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from wfsim.model.log import EventLog, HasLog
    from wfsim.sim.world import World

    W = TypeVar("W", bound=World)

FOLDER = "golden"
"""Where golden logs without a name of their own are, beside the file of the test."""


class LiveWorld(Protocol):
    """What the fixture ``wfsim_world`` is."""

    def __call__(self, world: W | Callable[[], W], *, seed: int = 0) -> W:
        """Return *world*, or the one that a function makes, alive on a clock."""
        ...


class AssertDigest(Protocol):
    """What the fixture ``assert_digest`` is."""

    def __call__(
        self, log: EventLog | HasLog, golden: str | os.PathLike[str] | None = None
    ) -> None:
        """Assert that *log* has the digest of the log in *golden*."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--wfsim-update``."""
    parser.getgroup("wfsim").addoption(
        "--wfsim-update",
        action="store_true",
        help="write golden logs and expectations anew, with what the tests come to",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Hand ``--wfsim-update`` on to the assertions, in the environment."""
    if config.getoption("--wfsim-update"):
        from wfsim.sim.expectation import UPDATE

        before = os.environ.get(UPDATE)
        os.environ[UPDATE] = "1"
        config.add_cleanup(lambda: _restore(UPDATE, before))


def _restore(name: str, before: str | None) -> None:
    if before is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = before


@pytest.fixture
def assert_converges() -> Callable[..., Any]:
    """`wfsim.testing.assert_converges`: it ends the same, whatever interrupts it."""
    from wfsim.testing import assert_converges

    return assert_converges


@pytest.fixture
def assert_digest(request: pytest.FixtureRequest) -> AssertDigest:
    """`wfsim.testing.assert_digest`: a log is as the golden one beside the test.

    A path is relative to the folder of the test; without one the file is called after the
    test, in the folder ``golden``, and the second such log of a test ``NAME-2``.
    """
    from wfsim.testing import assert_digest

    folder, name = request.path.parent, re.sub(r"[^\w.-]+", "-", request.node.name)
    base = f"{FOLDER}/{request.path.stem}/{name.strip('-')}"
    nameless: list[Path] = []

    def check(
        log: EventLog | HasLog, golden: str | os.PathLike[str] | None = None
    ) -> None:
        __tracebackhide__ = True
        if golden is None:
            end = f"-{len(nameless) + 1}" if nameless else ""
            nameless.append(folder / f"{base}{end}.jsonl")
        assert_digest(log, nameless[-1] if golden is None else folder / golden)

    return check


@pytest.fixture
def wfsim_world() -> LiveWorld:
    """Worlds that live on clocks of their own: `World.clock` lets time pass.

    ``fleet = wfsim_world(Fleet(3), seed=1)`` and then ``fleet.clock.run(until=60)``, in
    seconds of virtual time.  What has been asked of the world ends by itself meanwhile.
    """
    from wfsim.sim.clock import VirtualClock
    from wfsim.sim.draws import KeyedDraws
    from wfsim.sim.world import World

    def alive(world: W | Callable[[], W], *, seed: int = 0) -> W:
        one = world if isinstance(world, World) else world()
        one.attach(VirtualClock(), KeyedDraws(seed))
        return one

    return alive
