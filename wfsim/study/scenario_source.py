"""A file as what makes scenarios."""

from __future__ import annotations

from typing import Any

from wfsim.errors import DefinitionError
from wfsim.model.document import read_document
from wfsim.sim.scenario import Scenario


class ScenarioSource:
    """Makes scenarios of a file: parameters are dotted paths into a scenario file.

    Those of a flow file are what `Scenario.of_flow` takes: ``failure``, ``duration``,
    ``resource``.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        document = read_document(path).data
        self.is_flow = isinstance(document, dict) and "flowName" in document

    def __repr__(self) -> str:
        return f"ScenarioSource({self.path!r})"

    def __call__(self, **values: Any) -> Scenario:
        """Return the scenario of the file with *values* in place of what it says."""
        if not self.is_flow:
            return Scenario.load(self.path, values)
        try:
            return Scenario.of_flow(self.path, **values)
        except TypeError as error:
            raise DefinitionError(f"{self.path}: {error}") from error
