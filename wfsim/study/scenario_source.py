"""A file as what makes scenarios."""

from __future__ import annotations

from typing import Any

from wfsim.files.document import read_document
from wfsim.sim.scenario import Scenario
from wfsim.sim.scenario_loader import is_scenario, load_flow_as_scenario


class ScenarioSource:
    """Makes scenarios of a file: parameters are dotted paths into a scenario file.

    A flow file counts as a scenario file that says no more than to run that flow.
    Raises `DefinitionError` for a file that cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._load = (
            Scenario.load if is_scenario(read_document(path)) else load_flow_as_scenario
        )

    def __repr__(self) -> str:
        return f"ScenarioSource({self.path!r})"

    def __call__(self, **values: Any) -> Scenario:
        """Return the scenario of the file with *values* in place of what it says."""
        return self._load(self.path, values)
