"""Ten script tasks and ten one-day timers in SpiffWorkflow, on a virtual clock.

SpiffWorkflow's own timers look at the wall clock and cannot be told another time, so the
definition of the timer is replaced by one that asks the flow what time it is.
"""

from __future__ import annotations

from contextlib import contextmanager

from SpiffWorkflow.bpmn.specs.bpmn_process_spec import BpmnProcessSpec
from SpiffWorkflow.bpmn.specs.defaults import IntermediateCatchEvent
from SpiffWorkflow.bpmn.specs.event_definitions.timer import TimerEventDefinition
from SpiffWorkflow.bpmn.specs.mixins.bpmn_spec_mixin import BpmnSpecMixin
from SpiffWorkflow.bpmn.specs.mixins.script_task import ScriptEngineTask
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow

DAY = 86_400.0
NAMES = tuple(f"S{index}" for index in range(10))


class VirtualTimer(TimerEventDefinition):
    """Has fired when the flow's own ``now`` has come to when it is due."""

    def has_fired(self, my_task):
        now = my_task.workflow.data["now"]
        due = my_task._get_internal_data("event_value")
        if due is None:
            my_task._set_internal_data(event_value=now + self.expression)
        elif due <= now:
            my_task._set_internal_data(event_fired=True)
        return my_task._get_internal_data("event_fired", False)


class Body(ScriptEngineTask, BpmnSpecMixin):
    def _execute(self, task):
        task.data[self.name] = self.name.lower()
        return True


def specification():
    made = BpmnProcessSpec("W")
    last = made.start
    for name in NAMES:
        wait = IntermediateCatchEvent(made, f"wait {name}", VirtualTimer("day", DAY))
        body = Body(made, name)
        last.connect(wait)
        wait.connect(body)
        last = body
    last.connect(made.end)
    return made


@contextmanager
def program():
    """Give a function of no arguments that runs one flow and returns its outputs."""
    made = specification()

    def one():
        flow = BpmnWorkflow(made)
        flow.data["now"] = 0.0
        flow.do_engine_steps()
        while not flow.completed:
            flow.data["now"] += DAY
            flow.refresh_timers()
            flow.do_engine_steps()
        assert flow.data["now"] == 10 * DAY
        return {name: flow.last_task.data[name] for name in NAMES}

    yield one
