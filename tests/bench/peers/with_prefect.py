"""Ten tasks in a Prefect flow, without waits: it sleeps in real time.

Prefect starts a server of its own on the loopback interface, with its SQLite file in a
folder of this run.  What it would tell its makers is switched off before it is imported.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager

NAMES = tuple(f"S{index}" for index in range(10))
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


@contextmanager
def program():
    """Give a function of no arguments that runs one flow and returns its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(SETTINGS, PREFECT_HOME=folder)
        from prefect import flow, task  # the settings are read when it is imported
        from prefect.server.api.server import SubprocessASGIServer

        @task
        def step(name):
            return name.lower()

        @flow
        def waits():
            return {name: step(name) for name in NAMES}

        try:
            yield waits
        finally:
            for server in list(SubprocessASGIServer._instances.values()):
                server.stop()
