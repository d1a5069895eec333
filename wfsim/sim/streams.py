"""Random numbers keyed by what they are for, never taken from a stream in order.

Changing one policy leaves every other draw as it was, which is what makes two
scenarios comparable with few replications (common random numbers).

>>> draws = KeyedDraws(seed=1)
>>> draws.uniform("mpd-0", 1) == KeyedDraws(seed=1).uniform("mpd-0", 1)
True
>>> draws.uniform("a", "bc") == draws.uniform("ab", "c")
False
>>> draws.within("mpd-0", 2).uniform("a") == draws.uniform("mpd-0", 2, "a")
True
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from wfsim.engine.ports import Draws


class KeyedDraws:
    """Uniform numbers as a pure function of (seed, purpose)."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        key = repr(seed).encode()
        # Keyed once: to begin with a copy takes a third off each draw.
        self._begun = blake2b(
            digest_size=8, key=key if len(key) <= 64 else blake2b(key).digest()
        )

    def __repr__(self) -> str:
        return f"KeyedDraws(seed={self.seed})"

    def uniform(self, *purpose: str | int) -> float:
        """Return a number in [0, 1) that depends on the seed and *purpose* alone."""
        hashed = self._begun.copy()
        # ascii(), since what repr() escapes depends on the version of Python.
        hashed.update(ascii(purpose).encode())
        return (int.from_bytes(hashed.digest(), "big") >> 11) * 2.0**-53

    def within(self, *purpose: str | int) -> Draws:
        """Return the draws of which each purpose begins with *purpose*.

        Measured: one takes 0.8 us, where `uniform` with all seven parts takes 1.4.
        """
        return _Within(self._begun, f"({_listed(purpose)}, ")


class _Within:
    """Draws whose purposes begin alike, so that their hashes do."""

    __slots__ = ("_begun",)

    def __init__(self, begun: Any, more: str) -> None:
        self._begun = begun.copy()
        self._begun.update(more.encode())

    def uniform(self, *purpose: str | int) -> float:
        hashed = self._begun.copy()
        # Nearly always there is one part.
        rest = ascii(*purpose) if len(purpose) == 1 else _listed(purpose)
        hashed.update(f"{rest})".encode())
        return (int.from_bytes(hashed.digest(), "big") >> 11) * 2.0**-53

    def within(self, *purpose: str | int) -> Draws:
        return _Within(self._begun, f"{_listed(purpose)}, ")


def _listed(purpose: tuple[str | int, ...]) -> str:
    return ", ".join(map(ascii, purpose))
