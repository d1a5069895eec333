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

from functools import cache, lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Any

from wfsim.engine.ports import Draws

_number = Struct(">Q").unpack


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
        hashed.update(_whole(len(purpose)) % purpose)
        number: int = _number(hashed.digest())[0]
        return (number >> 11) * 2.0**-53

    def within(self, *purpose: str | int) -> Draws:
        """Return the draws of which each purpose begins with *purpose*.

        Measured: with three parts left of seven, one takes 0.8 us instead of 1.1.
        """
        return _Within(self._begun, b"(", purpose)


class _Within:
    """Draws whose purposes begin alike, so that their hashes do."""

    __slots__ = ("_begun",)

    def __init__(self, begun: Any, before: bytes, purpose: tuple[str | int, ...]) -> None:
        self._begun = begun.copy()
        self._begun.update(before + b"%a, " * len(purpose) % purpose)

    def uniform(self, *purpose: str | int) -> float:
        hashed = self._begun.copy()
        hashed.update(_tail(*purpose))
        number: int = _number(hashed.digest())[0]
        return (number >> 11) * 2.0**-53

    def within(self, *purpose: str | int) -> Draws:
        return _Within(self._begun, b"", purpose)


@lru_cache(maxsize=4096, typed=True)
def _tail(*purpose: str | int) -> bytes:
    """Return the bytes of a purpose that other runs have too, as nearly all do.

    Measured: a draw takes 0.7 us instead of 1.0.  *typed*, since True is hashed as 1.
    """
    return _rest(len(purpose)) % purpose


# A purpose is hashed as the text of a tuple.  What repr() escapes depends on the version
# of Python, so it is ascii(); as a format of bytes it takes half the time.


@cache
def _rest(parts: int) -> bytes:
    return b", ".join([b"%a"] * parts) + b")"


@cache
def _whole(parts: int) -> bytes:
    return b"(%a,)" if parts == 1 else b"(" + _rest(parts)
