"""Libraries of the extra ``study``, which need not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from wfsim.errors import UsageError


def library(name: str, what: str = "this") -> Any:
    """Return the module *name*, which *what* needs.

    Raises `UsageError` where it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise UsageError(
            f"{what} needs {package}; install it with the extra: pip install "
            f"'wfsim-lab[study]' ({error})"
        ) from None
