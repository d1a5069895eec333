"""Types that calls take and return, for annotations; loaded when first used."""

from typing import TYPE_CHECKING

from wfsim import lazily

if TYPE_CHECKING:
    from wfsim.engine.flow_status import FlowStatus as FlowStatus
    from wfsim.files.flow_loader import flow_schema as flow_schema
    from wfsim.history.attempts import PastRuns as PastRuns
    from wfsim.history.calibration import Calibration as Calibration
    from wfsim.model.log import Snapshot as Snapshot
    from wfsim.model.memento import Quarantined as Quarantined
    from wfsim.model.memento import RunStatus as RunStatus
    from wfsim.model.memento import StepMemento as StepMemento
    from wfsim.model.memento import StepStatus as StepStatus
    from wfsim.model.record import Record as Record
    from wfsim.model.resource import Key as Key
    from wfsim.model.resource import Recovery as Recovery
    from wfsim.sim.faults import Fault as Fault
    from wfsim.study.decision import Cost as Cost
    from wfsim.study.decision import Decision as Decision
    from wfsim.study.digest import Digest as Digest
    from wfsim.study.precision import Precision as Precision
    from wfsim.study.study import Study as Study
else:
    _homes, __getattr__ = lazily(__name__)
    __all__ = sorted(_homes)
