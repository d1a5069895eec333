"""Requests of an operator to the platform while a flow of it runs, as plain data.

>>> from fake_resources import tiem
>>> tiem.asks("StopCluster")["changed"]
Ask(name='changed', calls=(('begin', {'flow': 'StopCluster', 'subject': 'cluster-2'}),))
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import wfsim
from fake_resources.fakes import Ask
from fake_resources.tiem.callers import CALLERS, begin
from fake_resources.tiem.world import ENDED

_CHANGED: Mapping[str, Mapping[str, Any]] = {
    "CreateCluster": {"instances": {"PD": 1, "TiDB": 2, "TiKV": 3}},
    "DeleteCluster": {"keepHistoryBackupRecords": True},
    "ScaleOutCluster": {"instances": {"TiDB": 1}},
    "ScaleInCluster": {"instance": "cluster-1-tikv-2"},
    "CloneCluster": {"strategy": "TopologyClone"},
    "OnlineInPlaceUpgradeCluster": {"version": "v6.5.0"},
    "OfflineInPlaceUpgradeCluster": {"version": "v6.5.0"},
    "BackupCluster": {"backup": "backup-2", "lock": False},
    "ModifyParameters": {"tiup": {"log.file": "tidb.log"}, "sql": {}, "lock": False},
    "CheckCluster": {"cluster": "cluster-2"},
    "SwitchoverNormal": {"target": "cluster-3"},
    "SwitchoverForce": {"target": "cluster-3"},
    "SwitchoverForceWithMasterUnavailable": {"target": "cluster-3"},
}
"""The field of a request that may differ from its caller's; else it is the subject."""

_OTHERS = {"cluster-1": "cluster-2", "host-new": "host-other", "report-1": "report-2"}


def asks(flow: str, **asked: Any) -> dict[str, Ask]:
    """Return what an operator may ask by its name, where *flow* runs in `scenario`.

    ``begin`` asks for the flow, with what is *asked* in place of what its caller would.
    The others are for later: ``second`` (the same once more), ``changed`` (the same of
    something else, or with another wish), ``withdrawn``, which cancels; ``stop`` and
    ``start``; ``delete`` of what the flow is about, and ``replace``, which creates it
    again then.  A cluster that is locked or a batch of hosts under way refuses: who asks
    gets a `ServiceError` and asks again later.  Raises `UsageError` for no such flow.
    """
    if flow not in CALLERS:
        raise wfsim.UsageError(f"no flow {flow!r}; one of {', '.join(CALLERS)}")
    caller = CALLERS[flow]
    other = _OTHERS.get(caller.subject, caller.subject)
    changed = {**asked, **_CHANGED[flow]} if flow in _CHANGED else asked
    subject = {} if flow in _CHANGED else {"subject": other}
    made: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
        "begin": (("begin", {"flow": flow, **asked}),),
        "second": (("begin", {"flow": flow, **asked}),),
        "changed": (("begin", {"flow": flow, **subject, **changed}),),
        "withdrawn": (("cancel", {}),),
        "stop": (("stop", {}),),
        "start": (("start", {}),),
    }
    match caller.books:
        case "clusters":
            gone: dict[str, Any] = {"subject": caller.subject, "force": True}
            delete = ("begin", {"flow": "DeleteCluster", **gone})
            create = {"flow": "CreateCluster", "subject": caller.subject}
        case "hosts":
            gone = {"subject": caller.subject}
            delete = ("begin", {"flow": "DeleteHostsByForce", **gone})
            create = {"flow": "ImportHosts", **gone}
        case _:  # a report stays
            return {name: Ask(name, calls) for name, calls in made.items()}
    made |= {"delete": (delete,), "replace": (delete, ("begin", create))}
    return {name: Ask(name, calls) for name, calls in made.items()}


def ask(sim: Any, wanted: Ask, flow_id: str = "") -> str:
    """Ask for *wanted* in the simulation *sim*; return the id of the flow it is about.

    That is *flow_id* unless *wanted* begins another one.  Time passes only where one is
    to be begun after another: until that has ended.  Raises `ServiceError` and
    `UsageError` as `begin` and the service do.
    """
    first = True
    for call, keywords in wanted.calls:
        if call != "begin":
            getattr(sim.service, call)(flow_id)
            continue
        if not first:
            sim.run(until=lambda record, done=flow_id: _has_ended(record, done))
        flow_id, first = begin(sim, **keywords), False
    return flow_id


def begin_then(sim: Any, flow: str, then: Any = None, **asked: Any) -> None:
    """Ask for *flow*, and for *then* as soon as it has ended, whoever is in the way."""
    flow_id = begin(sim, flow, **asked)
    if then is None:
        return

    def follow() -> None:
        with suppress(wfsim.errors.ServiceError, wfsim.UsageError):
            begin(sim, **then)

    def hear(before: Any, after: Any) -> None:
        if after is not None and after.name == flow_id and after.state in ENDED:
            stop()
            sim.clock.call(0.0, follow)

    stop = sim.resources.subscribe(hear)


OUTSIDE: Mapping[str, Any] = {"begin": begin_then}
"""What is asked of the callers, and not of the service: ``requests`` of a scenario."""


def _has_ended(record: wfsim.types.Record, flow_id: str) -> bool:
    after = record.value
    return (
        record.resource == flow_id
        and isinstance(after, wfsim.Resource)
        and after.state in ENDED
    )


__all__ = ["OUTSIDE", "ask", "asks"]
