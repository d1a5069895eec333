"""What type checkers see of the door is what there is."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import wfsim

STUB = Path(wfsim.__file__).with_suffix(".pyi")


def test_the_stub_of_the_door_names_what_the_door_opens_to():
    imports = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(STUB.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(name for _, name in imports) == wfsim.__all__
    for module, name in imports:
        there = getattr(wfsim, name)
        assert there is getattr(import_module(module), name), name
