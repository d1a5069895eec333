"""Executors of ``switchover``: a slave takes its master's place, and how to go back.

Before each change the way back is written into the record of the switchover.  A step
that fails goes that way at once (``wfStepFail``); `roll_back` does so for a flow that
has failed without.
"""

from __future__ import annotations

from typing import Any

from fake_resources.tiem.cluster import ChangeFeed, Switchover
from fake_resources.tiem.steps.executors import Context, Effect, Executors, named

ATTEMPTS, WAIT, BETWEEN = 12, 0.5, 5.0
"""Of a health check: how many, seconds from one to the next, from reading to reading."""
MAX_LAG = 30.0
"""How many seconds a slave may be behind before a switchover is begun."""

switchover = Executors("switchover")


def _record(ctx: Context) -> Switchover:
    """Return the record of this switchover, which is made by the first step."""
    record: Switchover | None = ctx.world.switchovers.get(ctx.run)
    if record is None:
        told = ctx.inputs["wfContextReqKey"]
        others = sorted(ctx.inputs["wfContextOtherSlavesMapToOldSyncCDCTaskKey"])
        made = Switchover(ctx.run, told["sourceClusterID"], told["targetClusterID"])
        made.others = others
        record = ctx.world.keep("switchovers", made)
    return record


def _old_feed(ctx: Context) -> ChangeFeed:
    name = ctx.inputs["wfContextOldSyncChangeFeedTaskIDKey"]
    if name not in ctx.world.feeds:
        raise LookupError(f"there is no change feed {name}")
    found: ChangeFeed = ctx.world.feeds[name]
    return found


def _new_feed(record: Switchover) -> str:
    return f"feed-{record.new}-{record.old}"


@switchover("wfStepMarshalSwitchoverMasterSlavesState")
def marshal(ctx: Context) -> dict[str, Any]:
    """Write down who is master and who is slave."""
    record = _record(ctx)
    return {"old": record.old, "new": record.new, "others": list(record.others)}


# Checks.


@switchover("wfStepCheckOldSyncChangeFeedTaskHealth")
def check_old_feed(ctx: Context) -> Effect:
    """See the feed from the old master send, in 12 attempts."""
    yield from _check_feed(ctx, _old_feed(ctx).name)


@switchover("wfStepCheckNewSyncChangeFeedTaskHealth")
def check_new_feed(ctx: Context) -> Effect:
    """See the feed from the new master send, in 12 attempts."""
    yield from _check_feed(ctx, _new_feed(_record(ctx)))


def _check_feed(ctx: Context, name: str) -> Effect:
    for attempt in range(ATTEMPTS):
        if attempt:
            yield from ctx.sleep(WAIT)
        before = _sends(ctx, name)
        yield from ctx.sleep(BETWEEN)
        if before and _sends(ctx, name):
            return
    raise RuntimeError(f"{name} does not send")


def _sends(ctx: Context, name: str) -> bool:
    return name in ctx.world.feeds and ctx.world.feeds[name].status == "Normal"


@switchover("wfStepCheckSyncChangeFeedTaskMaxLagTime")
def check_lag(ctx: Context) -> Effect:
    """See the slave at most 30 s behind, in 4 attempts 3 s apart."""
    for attempt in range(4):
        if attempt:
            yield from ctx.sleep(3.0)
        if _old_feed(ctx).lag <= MAX_LAG:
            return
    raise RuntimeError(f"{_old_feed(ctx).name} is {_old_feed(ctx).lag:g} s behind")


@switchover("wfStepWaitOldMasterCDCsCaughtUp")
def wait_caught_up(ctx: Context) -> Effect:
    """See every feed from the old master caught up, in 61 attempts 1 s apart."""
    feeds = ctx.world.feeds_of(_record(ctx).old)
    for attempt in range(61):
        if attempt:
            yield from ctx.sleep(1.0)
        late = []
        for feed in feeds:
            yield from ctx.sleep(3.0)
            if feed.status != "Normal" or feed.lag > 0.0:
                late.append(feed.name)
        if not late:
            return
    raise RuntimeError(f"not caught up: {', '.join(late)}")


# Changes.


@switchover("wfStepSetOldMasterReadOnly")
def old_read_only(ctx: Context) -> None:
    """Make the old master read-only; one that is lost is passed over by force.

    Raises `ConnectionError` if it does not answer and nothing is forced.
    """
    record = _record(ctx)
    old = named(ctx, record.old)
    if not old.is_up and ctx.inputs["wfContextReqKey"]["force"]:
        ctx.log(f"{old.name} does not answer; going on without it")
        return
    old.connect()
    record.push("read_only", old.name, old.read_only)
    old.read_only = True
    for feed in ctx.world.feeds_of(old.name):
        feed.catch_up()


@switchover("wfStepPauseOldSyncChangeFeedTask")
def pause_old_feed(ctx: Context) -> None:
    """Pause the feed from the old master."""
    feed = _old_feed(ctx)
    if feed.status != "Stopped":
        _record(ctx).push("status", feed.name, feed.status)
        feed.status = "Stopped"


@switchover("wfStepCreateReverseSyncChangeFeedTask")
def reverse_feed(ctx: Context) -> None:
    """Feed the changes of the new master to the old one."""
    record = _record(ctx)
    _feed(ctx, record, record.old)


@switchover("wfStepMigrateAllDownStreamSyncChangeFeedTasksToNewMaster")
def migrate_feeds(ctx: Context) -> None:
    """Feed the other slaves from the new master."""
    record = _record(ctx)
    for other in record.others:
        _feed(ctx, record, other)
        for feed in ctx.world.feeds_of(record.old, other):
            record.push("create", feed.name, feed.source, feed.target)
            ctx.world.drop("feeds", feed.name)


def _feed(ctx: Context, record: Switchover, target: str) -> None:
    name = f"feed-{record.new}-{target}"
    for each in (record.new, target):
        named(ctx, each)
    if name not in ctx.world.feeds:
        record.push("remove", name)
        ctx.world.keep("feeds", ChangeFeed(name, record.new, target))


@switchover("wfStepSetNewMasterReadWrite")
def new_read_write(ctx: Context) -> None:
    """Make the new master writable."""
    record = _record(ctx)
    new = named(ctx, record.new)
    new.connect()
    if new.read_only:
        record.push("read_only", new.name, new.read_only)
        new.read_only = False


@switchover("wfStepSwapMasterSlaveRelationInDB")
def swap(ctx: Context) -> None:
    """Enter in the books who is master and who is slave."""
    record = _record(ctx)
    for name in record.clusters:
        cluster = named(ctx, name)
        master = "" if name == record.new else record.new
        if cluster.master != master:
            record.push("master", name, cluster.master)
            cluster.master = master


@switchover("wfStepFinish")
def finish(ctx: Context) -> None:
    """Give the locks back; there is no way back from here."""
    record = _record(ctx)
    record.undo, record.status = [], "Finished"
    ctx.world.unlock("Switching", *record.clusters)


# The way back.


@switchover("wfStepFail")
def take_back(ctx: Context) -> Effect:
    """Take back what has been done, four attempts each; give the locks back."""
    record = _record(ctx)
    record.status = "Failed"
    yield from _go_back(ctx, record, "Switching")


@switchover("wfStepRollback")
def roll_back(ctx: Context) -> Effect:
    """Do the same for the switchover of another flow, which has failed."""
    flow = ctx.inputs["wfContextReqKey"]["rollbackWorkFlowID"]
    yield from _go_back(ctx, ctx.world.switchovers[flow], "SwitchoverRollback")


def _go_back(ctx: Context, record: Switchover, lock: str) -> Effect:
    try:
        while record.undo:
            yield from _tried(ctx, record.undo[-1])
            record.undo = record.undo[:-1]
    except Exception:
        # Not `finally`: whoever is killed here will be here again, and needs the locks.
        ctx.world.unlock(lock, *record.clusters)
        raise
    record.rolled_back = True
    ctx.world.unlock(lock, *record.clusters)


@switchover("wfStepNOP")
def nothing(ctx: Context) -> None:
    """Do nothing: what is to be done after a failure was done within the step."""


def _tried(ctx: Context, way: Any) -> Effect:
    for last in (False, False, False, True):
        try:
            _undo(ctx.world, *way)
        except (LookupError, ConnectionError):
            if last:
                raise
            yield from ctx.sleep(WAIT)
        else:
            return


def _undo(world: Any, action: str, name: str, *args: Any) -> None:
    match action:
        case "read_only":
            world.clusters[name].connect()
            world.clusters[name].read_only = args[0]
        case "master":
            world.clusters[name].master = args[0] if args[0] in world.clusters else ""
        case "status":
            world.feeds[name].status = args[0]
        case "remove":
            world.drop("feeds", name)
        case "create" if all(each in world.clusters for each in args):
            world.keep("feeds", ChangeFeed(name, *args))


__all__ = ["switchover"]
