"""Run a module of these tests with the packages of another checkout.

    python -P tests/elsewhere.py CHECKOUT MODULE [ARGUMENT ...]

What a redesign changed is found by running the same program over both.  -P keeps the
folder of this file off the path.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def command(checkout: str | Path, module: str, *arguments: str) -> list[str]:
    """Return the command that runs *module* of these tests over *checkout*."""
    root = str(Path(checkout).resolve())
    return [sys.executable, "-P", __file__, root, module, *arguments]


def main(checkout: str, module: str, *arguments: str) -> None:
    """Bind the packages of *checkout* first, then find *module* here."""
    sys.path.insert(0, checkout)
    import fake_resources  # noqa: F401
    import wfsim

    if not Path(wfsim.__file__).is_relative_to(checkout):
        sys.exit(f"{checkout} has no wfsim: {wfsim.__file__} is what would be run")
    sys.path.insert(0, str(HERE))
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
