"""Run a workflow engine on a virtual clock and see what interruptions do to it.

The layers; each imports only those listed before it:

* ``errors``    every exception, and the signals that a step may raise; ``text``
* ``model``     values: Resource, StateMachine, Flow, Memento, Record, EventLog
* ``files``     what YAML files say: documents, flows, dumps of mementos
* ``engine``    generators over ports: runner, reconciler, controller, service
* ``sim``       SimPy adapters: clocks, stores, faults, Scenario, Simulation
* ``report``    pure functions of a log: ``tables``, ``charts``, ``export``, ``diff``
* ``study``     many runs in one frame: ``sweep``, ``design``
* ``campaign``  every interruption: ``explore``; one that was: ``reproduce``
* ``history``   what has happened: ``read_history``, ``calibrate``
* ``notebook``  Player, a cursor over a log, and the Debugger that shows it
* ``http``      the service over HTTP: Server
* ``cli``       the command ``wfsim``

This is the only door: users, fakes included, write ``import wfsim`` and nothing else.
Behind it stand ``wfsim.errors``, ``wfsim.demand`` (what arrives, at which rates),
``wfsim.types`` (what calls return, for annotations), ``wfsim.replay`` (what was durable
when), ``wfsim.clock`` and ``wfsim.testing`` (``reproduce``, strategies, and two faults
that plans of ``explore`` have), of which ``reproduce`` and the faults are found here too.
Names are loaded when they are first used, so that importing this costs next to nothing.
"""

from __future__ import annotations

import ast
import linecache
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the door: type checkers read it, and `opened` below
    from wfsim import clock as clock
    from wfsim import demand as demand
    from wfsim import errors as errors
    from wfsim import replay as replay
    from wfsim import testing as testing
    from wfsim import types as types
    from wfsim.campaign.explore import explore as explore
    from wfsim.engine.context import StepContext as StepContext
    from wfsim.engine.ports import Hooks as Hooks
    from wfsim.engine.steps import step as step
    from wfsim.errors import DefinitionError as DefinitionError
    from wfsim.errors import Interrupted as Interrupted
    from wfsim.errors import UsageError as UsageError
    from wfsim.errors import Waiting as Waiting
    from wfsim.errors import WfsimError as WfsimError
    from wfsim.files.configmap import load_mementos as load_mementos
    from wfsim.files.flow_loader import load_flow as load_flow
    from wfsim.files.flow_loader import load_flows as load_flows
    from wfsim.history.calibration import calibrate as calibrate
    from wfsim.history.read import read_history as read_history
    from wfsim.http.server import Server as Server
    from wfsim.model.duration import Duration as Duration
    from wfsim.model.flow import Flow as Flow
    from wfsim.model.flow import Polling as Polling
    from wfsim.model.flow import Step as Step
    from wfsim.model.log import EventLog as EventLog
    from wfsim.model.machine import Event as Event
    from wfsim.model.machine import StateMachine as StateMachine
    from wfsim.model.memento import Memento as Memento
    from wfsim.model.policy import Policy as Policy
    from wfsim.model.policy import Retry as Retry
    from wfsim.model.record import Kind as Kind
    from wfsim.model.resource import Resource as Resource
    from wfsim.notebook.debugger import Debugger as Debugger
    from wfsim.notebook.player import Player as Player
    from wfsim.report import charts as charts
    from wfsim.report import export as export
    from wfsim.report import tables as tables
    from wfsim.report.diff import diff as diff
    from wfsim.sim.conditions import state_entered as state_entered
    from wfsim.sim.conditions import step_completed as step_completed
    from wfsim.sim.conditions import step_started as step_started
    from wfsim.sim.faults import ApiDown as ApiDown
    from wfsim.sim.faults import BreakOne as BreakOne
    from wfsim.sim.faults import CancelAt as CancelAt
    from wfsim.sim.faults import CrashAt as CrashAt
    from wfsim.sim.faults import DelayStep as DelayStep
    from wfsim.sim.faults import DropWatch as DropWatch
    from wfsim.sim.faults import EditAt as EditAt
    from wfsim.sim.faults import FailSave as FailSave
    from wfsim.sim.faults import FailStep as FailStep
    from wfsim.sim.faults import HangStep as HangStep
    from wfsim.sim.faults import InterruptStep as InterruptStep
    from wfsim.sim.faults import LoseLease as LoseLease
    from wfsim.sim.faults import PauseController as PauseController
    from wfsim.sim.faults import RefuseWrite as RefuseWrite
    from wfsim.sim.faults import StaleRead as StaleRead
    from wfsim.sim.faults import dump_plan as dump_plan
    from wfsim.sim.faults import load_plan as load_plan
    from wfsim.sim.pool import Pool as Pool
    from wfsim.sim.scenario import Scenario as Scenario
    from wfsim.sim.simulation import Simulation as Simulation
    from wfsim.sim.simulation import simulate as simulate
    from wfsim.sim.world import World as World
    from wfsim.study import design as design
    from wfsim.study.sweep import sweep as sweep

if TYPE_CHECKING:
    # Beside `explore` and the other faults, though there is no room for them.
    AskAt, RepeatCall = testing.AskAt, testing.RepeatCall
    reproduce = testing.reproduce

_NAMESPACES = frozenset({"clock", "demand", "errors", "replay", "testing", "types"})
"""Modules that stand beside the names of the door and are not counted among them."""

# Names of the version before, which still work and warn.
_MOVED = {
    "clock": ("VirtualClock", "WallClock"),
    "demand": (
        "ApiRate", "Arrivals", "FlowRequest", "Rate", "StepSettings", "Times", "Trigger",
    ),
    "errors": (
        "AlreadyExists", "Cancelled", "Fenced", "Killed", "MementoError", "NotFound",
        "PollError", "Problem", "ServiceError", "StepFailed", "StepSignal", "StoreError",
        "TimedOut", "Unavailable",
    ),
    "types": (
        "Calibration", "Fault", "FlowStatus", "Key", "PastRuns", "Precision",
        "Quarantined", "Record", "RunStatus", "Snapshot", "StepMemento", "StepStatus",
        "Study", "flow_schema",
    ),
}  # fmt: skip
_RENAMED = {
    "Conflict": "RefuseWrite",
    **{name: f"{home}.{name}" for home, names in _MOVED.items() for name in names},
}


def opened(module: str) -> dict[str, str]:
    """Return what *module* opens to and where from: what ``if TYPE_CHECKING`` imports."""
    there = import_module(module)
    # Not by the loader: that of pytest, which rewrites asserts of plugins, has no source.
    source = "".join(linecache.getlines(str(there.__file__), vars(there)))
    return {
        alias.name: node.module or ""
        for block in ast.parse(source).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def lazily(module: str) -> tuple[dict[str, str], Callable[[str], Any]]:
    """Return what *module* opens to, and a ``__getattr__`` that loads a name once."""
    homes = opened(module)

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home = import_module(homes[name])
        if homes[name] != module and hasattr(home, name):
            value = getattr(home, name)
        else:  # a module that nobody has loaded yet
            value = import_module(f"{homes[name]}.{name}")
        setattr(import_module(module), name, value)
        return value

    return homes, load


if not TYPE_CHECKING:
    _homes, _load = lazily(__name__)
    __all__ = sorted(_homes.keys() - _NAMESPACES)

    def __getattr__(name: str) -> Any:
        if name in ("AskAt", "RepeatCall", "reproduce"):
            return getattr(_load("testing"), name)
        if name not in _RENAMED:
            return _load(name)
        text = f"wfsim.{name} is called wfsim.{_RENAMED[name]} now; write that"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        home, _, called = _RENAMED[name].rpartition(".")
        return getattr(_load(home), called) if home else _load(called)

    def __dir__() -> list[str]:
        return sorted(_homes)
