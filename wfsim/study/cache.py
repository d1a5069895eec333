"""Replications on disk, each file a run of them of one cell, as Parquet.

A cell is what went in: the scenario with its code, seed, faults and measures.  Its folder
has its fingerprint as name, a file the replications that it holds and a digest of its own
bytes.  Files are written beside and moved into place, so none is half there; one that
does not fit its digest is reported, thrown away and computed again.
"""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from wfsim.report.text import check_folder
from wfsim.study.execution import library
from wfsim.study.replication import RUN_COLUMNS, RUN_DTYPES, Rows

FORMAT = 4
"""Goes into fingerprints: files of another format are other cells."""

_NAME = re.compile(r"(\d+)-(\d+)\.([0-9a-f]{16})\.parquet")


class Cache:
    """The files below *folder*; *cells* are the fingerprints of the points."""

    def __init__(self, folder: str | Path, cells: Sequence[str]) -> None:
        arrow()
        self.folder = check_folder(folder, "cache")
        self.cells = cells

    def load(self, point: int) -> list[Rows]:
        """Return what is there of *point*, each replication once, in order."""
        found: list[Rows] = []
        reached = 0
        for first, stop, path in self._files(point):
            rows = self._read(point, path, first, stop) if stop > reached else None
            if rows is not None:
                found.append(rows.part(max(first, reached), stop))
                reached = stop
        return found

    def store(self, rows: Rows) -> None:
        """Keep *rows*, all of them or, if that is cut short, none."""
        try:
            content = _encoded(rows)
        except UnicodeEncodeError:
            # A name with half a character: Parquet has no text for it.
            return
        folder = self.folder / self.cells[rows.point]
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{rows.first}-{rows.stop}.{_digest(content)}.parquet"
        # A name of its own, since other processes may write the same.
        with NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as draft:
            try:
                draft.write(content)
                draft.flush()
                os.replace(draft.name, folder / name)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise

    def _files(self, point: int) -> list[tuple[int, int, Path]]:
        folder = self.folder / self.cells[point]
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        matches = (_NAME.fullmatch(name) for name in names)
        return sorted(
            (int(match[1]), int(match[2]), folder / match[0])
            for match in matches
            if match
        )

    def _read(self, point: int, path: Path, first: int, stop: int) -> Rows | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # Another process has found it corrupt.
            return None
        if _digest(content) == path.name.split(".")[1]:
            return _decoded(content, point, first, stop)
        warnings.warn(
            f"cache: {path} is corrupt; replications {first} to {stop - 1} are computed "
            "again",
            stacklevel=2,
        )
        path.unlink(missing_ok=True)
        return None


def missing(there: Sequence[Rows], first: int, stop: int) -> list[tuple[int, int]]:
    """Return what lies between *first* and *stop* and is not *there*, as such pairs.

    >>> missing([], 0, 5)
    [(0, 5)]
    """
    gaps, reached = [], first
    for rows in sorted(there, key=lambda rows: rows.first):
        if rows.first > reached:
            gaps.append((reached, min(rows.first, stop)))
        reached = max(reached, rows.stop)
    if reached < stop:
        gaps.append((reached, stop))
    return [(begin, end) for begin, end in gaps if begin < end]


def _encoded(rows: Rows) -> bytes:
    pa, parquet = arrow()
    kinds = {"float64": pa.float64(), "int64": pa.int64()}
    fields = [pa.field("replication", pa.int64())]
    fields += [
        pa.field(name, kinds.get(RUN_DTYPES.get(name, ""), pa.string()))
        for name in RUN_COLUMNS
    ]
    said = json.dumps(
        {
            "format": FORMAT,
            "replications": rows.tallies,
            "steps": rows.steps,
            "loads": rows.loads,
        }
    )
    schema = pa.schema(fields, metadata={"wfsim": said})
    file = io.BytesIO()
    parquet.write_table(pa.table(rows.runs, schema=schema), file)
    return file.getvalue()


def _decoded(content: bytes, point: int, first: int, stop: int) -> Rows:
    pa, parquet = arrow()
    # Measured: a process that ends soon after a read that began a thread, as any other
    # than this one does (pyarrow 26), is aborted by that one time in five.
    table = parquet.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    said = json.loads(table.schema.metadata[b"wfsim"])
    others = (said[name] for name in ("replications", "steps", "loads"))
    return Rows(point, first, table.to_pydict(), *others)


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def arrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet; raise `UsageError` where it is not installed."""
    return library("pyarrow", "Parquet"), library("pyarrow.parquet", "Parquet")
