"""The six places at which an observer may look on; none of them can change a thing."""

from __future__ import annotations

from wfsim.model.memento import Memento, StepMemento


class Hooks:
    """Base class of observers; override what is of interest.

    Called after the write that they are about, as in the reference
    (``OnWfInit``, ``OnStepInit``, ``OnStepWaiting``, ``OnStepCompleted``,
    ``OnWfInterrupt``, ``OnWfCompleted``).  An exception in a hook becomes a record of
    the log and nothing else.
    """

    def on_run_init(self, run: Memento) -> None:
        """A run was created, or taken up again."""

    def on_step_init(self, run: Memento, step: StepMemento) -> None:
        """An attempt of *step* begins."""

    def on_step_waiting(self, run: Memento, step: StepMemento) -> None:
        """*step* began to wait."""

    def on_step_completed(self, run: Memento, step: StepMemento | None) -> None:
        """An attempt of *step* is over, well or badly: see its status."""

    def on_run_interrupt(self, run: Memento) -> None:
        """The run was interrupted: see its reason."""

    def on_run_completed(self, run: Memento) -> None:
        """The run is complete."""
