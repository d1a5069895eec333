"""The file that a history is read from, perhaps packed, and what is wrong in it."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from wfsim.errors import DefinitionError
from wfsim.report.text import count

MAX_BYTES = 1 << 30
"""The most bytes that a file may have, once unpacked."""

MOST_EVENTS = 2_000_000
MOST_PROBLEMS = 20

_GZIP = b"\x1f\x8b"
_PACKED = {
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf": "7z",
}


def opened(source: Path) -> BinaryIO:
    """Return the file *source* opened for reading, unpacked if gzip has packed it.

    Raises `DefinitionError` for one that cannot be read, is packed otherwise or is
    larger than `MAX_BYTES`; while it is read, too, if that shows only then.
    """
    try:
        if source.stat().st_size > MAX_BYTES:
            raise _too_large(source)
        file = source.open("rb")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DefinitionError(
            f"{source}:1: cannot be read: {why}; give the path of a history"
        ) from None
    start = file.peek(8)
    packed = [name for magic, name in _PACKED.items() if start.startswith(magic)]
    if packed:
        file.close()
        raise DefinitionError(
            f"{source}:1: is packed by {packed[0]}; unpack it first, or pack it with gzip"
        )
    if not start.startswith(_GZIP):
        return file
    return cast("BinaryIO", io.BufferedReader(_Unpacked(file, source), 1 << 16))


def _too_large(source: Path) -> DefinitionError:
    return DefinitionError(
        f"{source}:1: larger than {MAX_BYTES} bytes; split it by resource"
    )


class _Unpacked(io.RawIOBase):
    """What comes out of a gzip file, up to `MAX_BYTES`."""

    def __init__(self, file: BinaryIO, source: Path) -> None:
        self._file = file
        self._content = gzip.GzipFile(fileobj=file)
        self._source = source
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            content = self._content.read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            raise DefinitionError(
                f"{self._source}:1: cannot be unpacked: {error}; give a whole gzip file"
            ) from None
        self._size += len(content)
        if self._size > MAX_BYTES:
            raise _too_large(self._source)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


class Problems:
    """What is wrong with a file, line by line; it is refused if nothing can be read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listed: list[str] = []
        self.more = 0
        self.repeated: list[int] = []

    def repeat(self, line: int) -> None:
        """Note that *line* is wholly like one before and is not counted again."""
        self.repeated.append(line)

    def add(self, line: int, text: object) -> None:
        """Add *text*, which is about *line*."""
        if len(self.listed) < MOST_PROBLEMS:
            self.listed.append(f"{self.name}:{line}: {' '.join(str(text).split())[:300]}")
        else:
            self.more += 1

    def of(self, readable: int, what: str) -> tuple[str, ...]:
        """Return the problems of a file in which *readable* lines could be read.

        Raises `DefinitionError` with them if that is none; each should be *what*.
        """
        if self.repeated:
            others = len(self.repeated) - 1
            also = f"; nor is any of {count(others, 'other')}" if others else ""
            self.listed.append(
                f"{self.name}:{self.repeated[0]}: is like a line before, and not counted "
                f"again{also}"
            )
        if self.more:
            self.listed.append(f"{self.name}:1: {self.more} more problems")
        if not readable:
            problems = self.listed[:3] or [f"{self.name}:1: the file is empty"]
            raise DefinitionError(*problems, f"{self.name}:1: no line is {what}")
        return tuple(self.listed)
