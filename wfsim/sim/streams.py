"""Random numbers keyed by what they are for, never taken from a stream in order.

Changing one policy leaves every other draw as it was, which is what makes two
scenarios comparable with few replications (common random numbers).

>>> draws = KeyedDraws(seed=1)
>>> draws.uniform("mpd-0", 1) == KeyedDraws(seed=1).uniform("mpd-0", 1)
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
        key = repr(seed).encode()
        self._key = key if len(key) <= 64 else blake2b(key).digest()

    def __repr__(self) -> str:
        return f"KeyedDraws(seed={self.seed})"

    def uniform(self, *purpose: str | int) -> float:
        """Return a number in [0, 1) that depends on the seed and *purpose* alone."""
        # ascii(), since what repr() escapes depends on the version of Python.
        digest = blake2b(ascii(purpose).encode(), digest_size=8, key=self._key).digest()
        return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
