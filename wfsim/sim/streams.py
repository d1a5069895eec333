"""Random numbers keyed by what they are for, never taken from a stream in order.

Changing one policy leaves every other draw as it was, which is what makes two
scenarios comparable with few replications (common random numbers).

>>> draws = KeyedDraws(seed=1)
>>> draws.uniform("mpd-0", "InitMeta", 1) == KeyedDraws(seed=1).uniform("mpd-0", "InitMeta", 1)
True
>>> draws.uniform("a", "bc") == draws.uniform("ab", "c")
False
"""

from __future__ import annotations

from hashlib import blake2b


class KeyedDraws:
    """Uniform numbers as a pure function of (seed, purpose)."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._key = repr(seed).encode()[:64]

    def __repr__(self) -> str:
        return f"KeyedDraws(seed={self.seed})"

    def uniform(self, *purpose: str | int) -> float:
        """Return a number in [0, 1) that depends on the seed and *purpose* alone."""
        digest = blake2b(repr(purpose).encode(), digest_size=8, key=self._key).digest()
        return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
