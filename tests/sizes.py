"""How big the sweeps of the tests are: small by default, full with ``WFSIM_FULL=1``."""

from __future__ import annotations

import os

FULL = os.environ.get("WFSIM_FULL") == "1"
"""Whether every crash point, every fault and many seeds are asked for: `make sweep`."""


def four_deviations(share: float, trials: int) -> float:
    """Return how far from *share* the share of successes in *trials* may well be."""
    return 4 * float((share * (1 - share) / trials) ** 0.5)
