"""Requests of an operator to a cluster while a flow of it runs, as plain data.

>>> from fake_resources import polardb
>>> sim = wfsim.Simulation(polardb.scenario(replicas=2, nodes=4), seed=1)
>>> log = sim.run()
>>> asks = polardb.asks("SwitchRw", sim.resource(), sim.world)
>>> asks["begin"]
Ask(name='begin', calls=(('edit', {'annotations': {'switchRw': 'mpd-0-ro-1'}}),))
>>> polardb.ask(sim, asks["begin"])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import wfsim
from fake_resources.fakes import Ask
from fake_resources.polardb import members
from fake_resources.polardb.cluster import PolarWorld, volume_name
from fake_resources.polardb.requests import REQUESTS

CLASSES = (
    {"className": "polar.o.x8.large", "cpu": 8, "memoryGb": 32},
    {"className": "polar.o.x16.huge", "cpu": 16, "memoryGb": 64},
)
"""Classes that no cluster of `scenario` has at first."""

Calls = tuple[tuple[str, dict[str, Any]], ...]


def asks(state: str, resource: wfsim.Resource, world: PolarWorld) -> dict[str, Ask]:
    """Return what an operator may ask by its name, where the flow of *state* runs.

    *resource* and *world* are as they are before: a cluster that is running and has two
    followers at least, or one that is to be created.  ``begin`` leads to *state*; that of
    ``Creating`` asks nothing.  The others are for later: ``second`` (a further request of
    the kind), ``changed`` (another one in its place), ``withdrawn``; ``cancel``,
    ``recover`` (after that), ``edit`` (a request of another kind), ``delete``, and
    ``replace``, which deletes and creates.  What is being created cannot be withdrawn,
    and of a cluster on local storage nothing can be asked but what ends it.
    Raises `UsageError` for a state that runs no flow, and for too few followers.
    """
    if state not in _ASKS:
        raise wfsim.UsageError(f"{state!r} runs no flow; one of {', '.join(_ASKS)}")
    calls = {**_ASKS[state](resource, world), **_always(state, resource)}
    return {name: Ask(name, made) for name, made in calls.items()}


def ask(sim: Any, wanted: Ask, name: str | None = None) -> None:
    """Ask for *wanted* in the simulation *sim*, of the cluster *name* (None: the one).

    Time passes only for a ``replace``, until the old cluster is gone.
    """
    for call, keywords in wanted.calls:
        match call:
            case "world" | "observe":
                OUTSIDE[call](sim, **keywords)
            case "create":
                sim.run(until=_is_gone)
                sim.create(wfsim.Resource(**keywords["key"]).edit(spec=keywords["spec"]))
            case _:
                getattr(sim, call)(name, **keywords)


def _is_gone(record: wfsim.types.Record) -> bool:
    return record.kind is wfsim.Kind.RESOURCE_DELETED


def _happen(sim: Any, place: Sequence[str], action: str, args: Sequence[Any]) -> None:
    sim.act(lambda there: there.world.happen(tuple(place), action, *args))


OUTSIDE: Mapping[str, Callable[..., Any]] = {
    "world": _happen,
    "observe": lambda sim: sim.act(members.observe),
}
"""What is asked of a world, and not of a cluster: the ``requests`` of a scenario."""


def _edit(**parts: Mapping[str, Any]) -> Calls:
    return (("edit", parts),)


def _note(annotation: str, text: str | None) -> Calls:
    return _edit(annotations={annotation: text})


def _world(*place: str, action: str, args: tuple[Any, ...] = ()) -> Calls:
    return (("world", {"place": place, "action": action, "args": args}),)


def _always(state: str, resource: wfsim.Resource) -> dict[str, Calls]:
    local = resource.spec.get("dbClusterType") == "local"
    other = "RestartCluster" if state != "RestartCluster" else "Rebuild"
    key = {"kind": resource.kind, "name": resource.name}
    spec = {part: resource.spec[part] for part in resource.spec if part != "engineParams"}
    edit = {} if local else {"edit": _note(REQUESTS[other], "T")}
    return {
        **edit,
        "cancel": (("cancel", {}),),
        "recover": (("uncancel", {}), ("recover", {})),
        "delete": (("delete", {}),),
        "replace": (("delete", {}), ("create", {"key": key, "spec": spec})),
    }


def _switch(annotation: str) -> Callable[..., dict[str, Calls]]:
    """Return the requests of *annotation*, which is on or off."""
    texts = {"begin": "T", "second": "true", "changed": "1", "withdrawn": None}
    return lambda resource, world: {
        name: _note(annotation, text) for name, text in texts.items()
    }


def _name(annotation: str) -> Callable[..., dict[str, Calls]]:
    """Return the requests of *annotation*, which names an instance."""

    def requests(resource: wfsim.Resource, world: PolarWorld) -> dict[str, Calls]:
        first, second = _two_followers(resource)
        # A leader cannot be removed.
        leads = annotation != "removeIns"
        back = members.leader(resource) if leads else second
        texts = {"begin": first, "second": back, "changed": second, "withdrawn": None}
        return {name: _note(annotation, text) for name, text in texts.items()}

    return requests


def _two_followers(resource: wfsim.Resource) -> tuple[str, str]:
    followers = members.followers(resource)
    if len(followers) < 2:
        text = f"{resource.key} has {len(followers)} followers"
        raise wfsim.UsageError(f"{text}; ask a cluster that has two or more")
    return followers[0], followers[1]


def _migrate(which: int) -> Callable[..., dict[str, Calls]]:
    """Return the requests that the *which*-th instance is to move; 0 is the leader."""

    def requests(resource: wfsim.Resource, world: PolarWorld) -> dict[str, Calls]:
        name = members.instances(resource)[which]
        _, other = _two_followers(resource)
        used = {pod.node for pod in world.pods_of(resource.name)}
        spare = next((node for node in world.nodes if node not in used), "")
        home = members.entry(resource, name)["node"]
        return {
            "begin": _note("migrate", f"{name}|{spare}"),
            "second": _note("migrate", f"{name}|{home}"),
            "changed": _note("migrate", f"{other}|{home}"),
            "withdrawn": _note("migrate", None),
        }

    return requests


def _wanted(part: str, *others: Mapping[str, Any]) -> Callable[..., dict[str, Calls]]:
    """Return the requests for another *part* of the spec: the first of *others*."""

    def requests(resource: wfsim.Resource, world: PolarWorld) -> dict[str, Calls]:
        values = {
            "begin": others[0],
            "second": others[1],
            "changed": dict(resource.spec[part]),
            "withdrawn": None,
        }
        return {
            name: _edit(spec={f"{part}ModifyTo": value}) for name, value in values.items()
        }

    return requests


def _flush(resource: wfsim.Resource, world: PolarWorld) -> dict[str, Calls]:
    before = dict(resource.spec["engineParams"])

    def wanted(text: str | None, **params: int) -> Calls:
        spec = {"engineParams": {**before, **params}}
        return _edit(spec=spec, annotations={"flushParams": text})

    return {
        "begin": wanted("1", max_connections=900),
        "second": wanted("true", max_connections=1234),
        "changed": wanted("1", shared_buffers_gb=5),
        "withdrawn": wanted(None),
    }


def _extend(resource: wfsim.Resource, world: PolarWorld) -> dict[str, Calls]:
    name, size = volume_name(resource.name), int(resource.spec["sharedStorage"]["sizeGb"])

    def wanted(text: str, size: int) -> Calls:
        grown = _world("storage", action="extend", args=(name, size))
        spec = {"sharedStorage": {"sizeGb": size}}
        return (*grown, *_edit(spec=spec, annotations={"extendStorage": text}))

    return {
        "begin": wanted("T", size + 100),
        "second": wanted("true", size + 200),
        "changed": wanted("T", size + 300),
        "withdrawn": _note("extendStorage", None),
    }


def _fail(resource: wfsim.Resource, world: PolarWorld) -> dict[str, Calls]:
    first, second = _two_followers(resource)
    seen: Calls = (("observe", {}),)
    mended = _world("pods", first, action="recover")
    another = _world("pods", second, action="fail")
    return {
        "begin": (*_world("pods", first, action="fail"), *seen),
        "second": (*another, *seen),
        "changed": (*mended, *another, *seen),
        "withdrawn": (*mended, *seen),
    }


def _count(resource: wfsim.Resource, world: PolarWorld) -> dict[str, Calls]:
    number = len(members.followers(resource))
    wanted = {"begin": number + 1, "second": number + 2, "changed": number - 1}
    return {
        name: _edit(spec={"followerNum": each})
        for name, each in {**wanted, "withdrawn": number}.items()
    }


def _create(resource: wfsim.Resource, world: PolarWorld) -> dict[str, Calls]:
    if "followerNum" not in resource.spec:
        return {"begin": ()}
    params = {"shared_buffers_gb": 5, "max_connections": 1234}
    flush = _edit(spec={"engineParams": params}, annotations={"flushParams": "T"})
    number = int(resource.spec["followerNum"])
    return {
        "begin": (),
        "second": (*_edit(spec={"followerNum": number + 1}), *flush),
        "changed": _edit(
            spec={"classInfoModifyTo": CLASSES[0], "followerNum": number - 1}
        ),
    }


_VERSIONS = ({"versionName": "1.1.21"}, {"versionName": "1.1.22"})

_ASKS: Mapping[str, Callable[..., dict[str, Calls]]] = {
    "Creating": _create,
    "Rebuild": _switch("forceRebuild"),
    "ModifyClass": _wanted("classInfo", *CLASSES),
    "RestartCluster": _switch("restartCluster"),
    "RestartIns": _name("restartIns"),
    "FlushParams": _flush,
    "SwitchRw": _name("switchRw"),
    "MigrateRo": _migrate(1),
    "MigrateRw": _migrate(0),
    "UpgradeMinorVersion": _wanted("versionCfg", *_VERSIONS),
    "RebuildRo": _fail,
    "AddRo": _count,
    "RemoveRo": _name("removeIns"),
    "ExtendStorage": _extend,
}

__all__ = ["OUTSIDE", "ask", "asks"]
