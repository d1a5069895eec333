"""Notebooks are tests: a cell that would not be compared is refused."""

from wfsim.testing.notebooks import pytest_collection_modifyitems, pytest_configure

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]
