"""Whether a run that was begun once fits its flow as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wfsim.engine.attempt import describe
from wfsim.model import memento as reasons
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY
from wfsim.model.memento import Memento
from wfsim.text import suggest

Migration = Callable[[Memento, Flow], Memento]


def fitted(
    run: Memento, flows: Mapping[str, Flow], migrations: Mapping[str, Migration] = EMPTY
) -> Memento | tuple[str, str]:
    """Return *run* fit for its flow as it is now, or reason and words why not."""
    flow = flows.get(run.flow)
    if flow is None:
        near = suggest(run.flow, flows)
        return reasons.UNKNOWN_FLOW, f"no flow {run.flow!r}{near}"
    names, digest = _names(run), flow.digest
    if names == flow.names and run.digest == digest:
        return run
    if names == flow.names and not run.digest:
        return run._replace(digest=digest)
    migrate = migrations.get(flow.name)
    if migrate is None:
        return reasons.DEFINITION_CHANGED, (
            f"the run began with the steps {', '.join(names)}; the flow now has "
            f"{', '.join(flow.names)} (digest {flow.digest}); give a migration"
        )
    try:
        fit = migrate(run, flow)._replace(digest=flow.digest)
    except Exception as error:
        text = f"the migration failed: {describe(error)}"
        return reasons.DEFINITION_CHANGED, text
    if _names(fit) != flow.names:
        text = f"the migration left the steps {', '.join(_names(fit))}"
        return reasons.DEFINITION_CHANGED, text
    return fit


def _names(run: Memento) -> tuple[str, ...]:
    return tuple([step.name for step in run.steps])
