"""Whether a run that was begun once fits its flow as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wfsim.engine.attempt import describe
from wfsim.engine.runner import Stop
from wfsim.model import memento as reasons
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY
from wfsim.model.memento import Memento
from wfsim.model.run import Cause, Run
from wfsim.text import suggest

Migration = Callable[[Memento, Flow], Memento]


def migrated(
    run: Run, flows: Mapping[str, Flow], migrations: Mapping[str, Migration] = EMPTY
) -> Memento | Stop | None:
    """Return *run* as it fits its flow now, None if it does, or why it cannot."""
    flow = flows.get(run.flow)
    if flow is None:
        near = suggest(run.flow, flows)
        text = f"no flow {run.flow!r}{near}"
        return Stop(reasons.UNKNOWN_FLOW, text, Cause.DEFINITION)
    names, digest = run.names, flow.digest
    if names == flow.names and run.digest == digest:
        return None
    if names == flow.names and not run.digest:
        return run.memento()._replace(digest=digest)
    migrate = migrations.get(flow.name)
    if migrate is None:
        return _changed(
            f"the run began with the steps {', '.join(names)}; the flow now has "
            f"{', '.join(flow.names)} (digest {flow.digest}); give a migration"
        )
    try:
        fit = migrate(run.memento(), flow)._replace(digest=flow.digest)
    except Exception as error:
        return _changed(f"the migration failed: {describe(error)}")
    left = tuple(step.name for step in fit.steps)
    if left != flow.names:
        return _changed(f"the migration left the steps {', '.join(left)}")
    return fit


def _changed(text: str) -> Stop:
    return Stop(reasons.DEFINITION_CHANGED, text, Cause.DEFINITION)
