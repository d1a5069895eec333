"""Run a real workflow engine on a virtual clock, and see what interrupts it do.

A map, bottom up; each layer knows only those above it in this list:

* ``errors``    every exception, and the signals that a step may raise; ``text``
* ``model``     values: Resource, StateMachine, Flow, Memento, Record, EventLog
* ``files``     what YAML files say: documents, flows, dumps of mementos
* ``engine``    generators over ports: runner, reconciler, controller, service
* ``sim``       SimPy adapters: clocks, stores, faults, Scenario, Simulation
* ``report``    pure functions of a log: ``tables``, ``charts``, ``export``, ``replay``
* ``study``     many runs in one frame: ``sweep``, ``design``
* ``campaign``  every interruption: ``explore``
* ``history``   what has happened: ``read_history``, ``calibrate``
* ``notebook``  Player, a cursor over a log, and the Debugger that shows it
* ``http``      the service over HTTP: Server
* ``cli``       the command ``wfsim``

This is the only door: users, fakes included, write ``import wfsim`` and nothing else.
Names are loaded when they are first used, so that importing this costs next to nothing.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

_HOMES = {
    "wfsim.errors": (
        "AlreadyExists", "Cancelled", "DefinitionError", "Fenced", "Interrupted",
        "Killed", "MementoError", "NotFound", "PollError", "Problem", "StepFailed",
        "StepSignal", "StoreError", "TimedOut", "Unavailable", "UsageError", "Waiting",
        "WfsimError",
    ),
    "wfsim.model.resource": ("Key", "Resource"),
    "wfsim.model.machine": ("Event", "StateMachine"),
    "wfsim.model.policy": ("Policy", "Retry"),
    "wfsim.model.duration": ("Duration",),
    "wfsim.model.flow": ("Flow", "Polling", "Step"),
    "wfsim.files.configmap": ("load_mementos",),
    "wfsim.files.flow_loader": ("flow_schema", "load_flow", "load_flows"),
    "wfsim.model.memento": (
        "Memento", "Quarantined", "RunStatus", "StepMemento", "StepStatus",
    ),
    "wfsim.model.record": ("Kind", "Record"),
    "wfsim.model.log": ("EventLog", "Snapshot"),
    "wfsim.engine.ports": ("Hooks",),
    "wfsim.engine.context": ("StepContext",),
    "wfsim.engine.steps": ("step",),
    "wfsim.engine.flow_status": ("FlowStatus", "ServiceError"),
    "wfsim.sim.fault_wrappers": ("ApiRate",),
    "wfsim.sim.clock": ("VirtualClock", "WallClock"),
    "wfsim.sim.demand": ("Arrivals", "FlowRequest", "Times", "Trigger"),
    "wfsim.sim.faults": (
        "ApiDown", "BreakOne", "CancelAt", "CrashAt", "DelayStep",
        "DropWatch", "EditAt", "FailSave", "FailStep", "Fault", "HangStep",
        "InterruptStep", "PauseController", "RefuseWrite", "StaleRead", "dump_plan",
        "load_plan",
    ),
    "wfsim.sim.pool": ("Pool",),
    "wfsim.sim.rates": ("Rate",),
    "wfsim.sim.scenario": ("Scenario",),
    "wfsim.sim.step_settings": ("StepSettings",),
    "wfsim.sim.simulation": (
        "Simulation", "simulate", "state_entered", "step_completed", "step_started",
    ),
    "wfsim.sim.world": ("World",),
    "wfsim.http.server": ("Server",),
    "wfsim.study.precision": ("Precision",),
    "wfsim.study.study": ("Study",),
    "wfsim.study.sweep": ("sweep",),
    "wfsim.campaign.explore": ("explore",),
    "wfsim.history.attempts": ("PastRuns",),
    "wfsim.history.calibration": ("Calibration", "calibrate"),
    "wfsim.history.read": ("read_history",),
    "wfsim.notebook.player": ("Player",),
    "wfsim.notebook.debugger": ("Debugger",),
}  # fmt: skip
_MODULES = {
    **dict.fromkeys(("charts", "export", "replay", "tables"), "report"),
    "design": "study",
}
_RENAMED = {"Conflict": "RefuseWrite"}
"""Names of the version before, which still work and warn."""
_WHERE = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        text = f"wfsim.{name} is called wfsim.{_RENAMED[name]} now; write that"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return __getattr__(_RENAMED[name])
    if name in _MODULES:
        value: Any = import_module(f"wfsim.{_MODULES[name]}.{name}")
    elif name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
    else:
        raise AttributeError(f"module 'wfsim' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


__all__ = sorted([*_WHERE, *_MODULES])
