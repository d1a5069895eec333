"""Run notebooks and save what they show: the reference that the tests compare with."""

import sys
from pathlib import Path

from wfsim.testing.notebooks import execute

if __name__ == "__main__":
    for name in sys.argv[1:]:
        execute(Path(name))
