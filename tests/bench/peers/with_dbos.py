"""Ten durable steps in DBOS on an SQLite file, without waits: it sleeps in real time."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path

from dbos import DBOS

NAMES = tuple(f"S{index}" for index in range(10))


@DBOS.step()
def step(name):
    return name.lower()


@DBOS.workflow()
def flow():
    return {name: step(name) for name in NAMES}


@contextmanager
def program():
    """Give a function of no arguments that runs one flow and returns its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        DBOS(
            config={
                "name": "bench",
                "system_database_url": f"sqlite:///{Path(folder) / 'dbos.sqlite'}",
                "console_log_level": "ERROR",
                "log_level": "ERROR",
            }
        )
        DBOS.launch()
        try:
            yield flow
        finally:
            DBOS.destroy()
