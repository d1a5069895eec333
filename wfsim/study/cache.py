"""Replications on disk, each file a run of them of one cell, as Parquet.

A cell is what went in: the scenario with its code, seed, faults and measures.  Its folder
has its fingerprint as name, a file the replications that it holds and a digest of its own
bytes.  Files are written beside and moved into place, so none is half there; one that
does not fit its digest is reported, thrown away and computed again.

Of a fingerprint a value is told by its type and its parts.  A function or a class is told
by its code: of a file, by everything in its package and in what that imports, as it was
when it was first looked at; of a cell, by its source, its imports and the globals that it
reads.  What is installed counts by its version, but wfsim itself by its files.  What has
no source is refused, not guessed.  Measured: that joblib hashes instead takes 290 lines,
since its pickles know code by name only, and 43 ms a scenario of PolarDB against 5.
"""

from __future__ import annotations

import ast
import dataclasses
import dis
import enum
import functools
import inspect
import io
import json
import os
import re
import sys
import textwrap
import types
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path, PurePath
from tempfile import NamedTemporaryFile
from typing import Any

from wfsim.errors import UsageError
from wfsim.report.text import check_folder
from wfsim.study.execution import library
from wfsim.study.replication import RUN_COLUMNS, RUN_DTYPES, Rows

FORMAT = 5
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
    metadata = json.dumps(
        {
            "format": FORMAT,
            "replications": rows.tallies,
            "steps": rows.steps,
            "loads": rows.loads,
        }
    )
    schema = pa.schema(fields, metadata={"wfsim": metadata})
    file = io.BytesIO()
    parquet.write_table(pa.table(rows.runs, schema=schema), file)
    return file.getvalue()


def _decoded(content: bytes, point: int, first: int, stop: int) -> Rows:
    pa, parquet = arrow()
    # Measured: a process that ends soon after a read that began a thread, as any other
    # than this one does (pyarrow 26), is aborted by that one time in five.
    table = parquet.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    metadata = json.loads(table.schema.metadata[b"wfsim"])
    others = (metadata[name] for name in ("replications", "steps", "loads"))
    return Rows(point, first, table.to_pydict(), *others)


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def arrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet; raise `UsageError` where it is not installed."""
    return library("pyarrow", "Parquet"), library("pyarrow.parquet", "Parquet")


CURE = "give key='...', a name of yours, and change it whenever what is simulated changes"

_HEAP_TYPE = 1 << 9
_ATOMS = (bool, int, float, complex, str, bytes, type(None), type(...))
_BUILT_IN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME"}


class Fingerprints:
    """Makes fingerprints; one for a whole study, since points share most of what is."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, str]] = {}
        self._modules: dict[str, str] = {}
        self._open: dict[int, int] = {}

    def of(self, *values: Any) -> str:
        """Return 32 hex digits that a change of any of *values* changes.

        Raises `UsageError` for what cannot be told from something else.
        """
        return self._digest("values", map(self._part, values))

    def _part(self, value: Any) -> str:
        if isinstance(value, _ATOMS) and type(value) in _ATOMS:
            return f"{type(value).__name__} {value!a}"
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        if id(value) in self._open:
            return f"the one {len(self._open) - self._open[id(value)]} up"
        self._open[id(value)] = len(self._open)
        try:
            digest = self._composite(value)
        finally:
            del self._open[id(value)]
        # The value is kept, so that nothing else gets its id.
        self._known[id(value)] = value, digest
        return digest

    def _composite(self, value: Any) -> str:
        match value:
            case enum.Enum():
                return self._digest("enum", [self._named(type(value)), value.name])
            case PurePath():
                return self._digest("path", [str(value)])
            case functools.partial():
                called = [value.func, value.args, value.keywords]
                return self._digest("partial", map(self._part, called))
            case types.MethodType():
                bound = [value.__func__, value.__self__]
                return self._digest("method", map(self._part, bound))
            case types.FunctionType():
                return self._digest("function", self._function(value))
            case type():
                return self._digest("class", self._class(value))
            case types.ModuleType():
                return self._digest("module", [self._module(value.__name__)])
            case staticmethod() | classmethod():
                return self._digest("wrapped", [self._part(value.__func__)])
            case property():
                ways = [value.fget, value.fset, value.fdel]
                return self._digest("property", map(self._part, ways))
            case Mapping():
                return self._digest("mapping", self._items(value))
            case frozenset() | set():
                return self._digest("set", sorted(map(self._part, value)))
            case list() | tuple() | range():
                kind = self._named(type(value))
                return self._digest("list", [kind, *map(self._part, value)])
        return self._digest("object", self._object(value))

    def _items(self, value: Mapping[Any, Any]) -> list[str]:
        pairs = ((self._part(key), self._part(each)) for key, each in value.items())
        return sorted(f"{key}: {each}" for key, each in pairs)

    def _object(self, value: Any) -> Iterator[str]:
        kind = type(value)
        if isinstance(value, _BUILT_IN):
            yield f"{getattr(value, '__objclass__', '')}.{value.__qualname__}"
            return
        if kind.__module__ == "numpy" and hasattr(value, "tobytes"):
            yield from (str(value.dtype), str(value.shape), value.tobytes().hex())
            return
        if not kind.__flags__ & _HEAP_TYPE:
            raise UsageError(
                f"cache: {value!r} could be anything next time; {CURE}, or cache=None"
            )
        yield self._part(kind)
        yield from self._items(_state(value))

    def _named(self, kind: type) -> str:
        return f"{kind.__module__}.{kind.__qualname__}"

    def _class(self, kind: type) -> Iterator[str]:
        yield self._named(kind)
        if _has_file(kind.__module__):
            yield self._module(kind.__module__)
            return
        yield from map(self._part, kind.__bases__)
        skipped = {"__dict__", "__weakref__", "__doc__", "__module__"}
        skipped |= {"__static_attributes__", "__firstlineno__", "__annotations_cache__"}
        parts = {name: each for name, each in vars(kind).items() if name not in skipped}
        yield from self._items(parts)

    def _function(self, function: types.FunctionType) -> Iterator[str]:
        module = function.__module__ or ""
        yield f"{module}.{function.__qualname__}"
        yield from _code(function.__code__)
        cells = function.__closure__ or ()
        # A function that calls itself may have a cell that is still empty.
        inside = [cell.cell_contents for cell in cells if not _is_empty(cell)]
        yield self._part(inside)
        yield self._part(function.__defaults__)
        yield self._part(function.__kwdefaults__)
        yield from self._items(vars(function))
        if _is_of_file(function):
            yield self._module(module)
            return
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError):
            raise UsageError(
                f"cache: {function.__qualname__!r} has no source that could be compared; "
                f"{CURE}"
            ) from None
        yield source
        yield from map(self._module, sorted(_imports(textwrap.dedent(source).encode())))
        read = {
            name: function.__globals__.get(name) for name in _reads(function.__code__)
        }
        known = {name: each for name, each in read.items() if each is not None}
        yield from self._items(known)

    def _module(self, name: str) -> str:
        """Return what tells the package of the module *name*, code and all."""
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == "builtins":
            return top
        package = sys.modules.get(top)
        is_package = getattr(package, "__file__", None) and hasattr(package, "__path__")
        whole = top if is_package else name
        if whole not in self._modules:
            # It may be imported in a circle.
            self._modules[whole] = whole
            self._modules[whole] = self._digest(whole, self._source(whole))
        return self._modules[whole]

    def _source(self, name: str) -> Iterator[str]:
        path = _file_of(name)
        if path is None:
            raise UsageError(f"cache: the module {name!r} has no file; {CURE}")
        if name != "wfsim" and _is_installed(path):
            # Not by getattr: some modules warn of it.
            yield f"{name} {vars(sys.modules[name]).get('__version__', _version(name))}"
            return
        is_package = path.name == "__init__.py"
        files = sorted(path.parent.rglob("*.py")) if is_package else [path]
        specs = _specs()
        contents = {each: _as_loaded(each, specs) for each in files}
        for each, content in contents.items():
            yield f"{each.relative_to(path.parent).as_posix()}"
            yield content.hex()
        if name == "wfsim":
            # Its door fills as names are used, and what it leans on changes no result.
            return
        modules = [
            value
            for key, value in list(sys.modules.items())
            if key == name or (is_package and key.startswith(f"{name}."))
        ]
        # A number that was imported does not say where it is from: its import does.
        uses = {use for content in contents.values() for use in _imports(content)}
        for used in sorted(uses.union(*map(_uses, modules))):
            if used.partition(".")[0] != name.partition(".")[0] or not is_package:
                yield self._module(used)

    def _digest(self, kind: str, parts: Iterable[str]) -> str:
        digest = blake2b(kind.encode(), digest_size=16)
        for part in parts:
            text = part.encode("utf-8", "surrogatepass")
            digest.update(b"%d:" % len(text))
            digest.update(text)
        return digest.hexdigest()


def _state(value: Any) -> dict[str, Any]:
    """Return the attributes of *value*, without what it has only worked out."""
    if dataclasses.is_dataclass(value):
        return {
            each.name: getattr(value, each.name) for each in dataclasses.fields(value)
        }
    state = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if hasattr(value, name):
                state[name] = getattr(value, name)
        for name, each in vars(kind).items():
            if isinstance(each, functools.cached_property):
                state.pop(name, None)
    return state


def _has_file(module: str) -> bool:
    if module.partition(".")[0] in sys.stdlib_module_names and module != "__main__":
        return True
    return getattr(sys.modules.get(module), "__file__", None) is not None


def _is_of_file(function: types.FunctionType) -> bool:
    """Whether *function* is from its module's file, not from a cell or an `exec`."""
    module = function.__module__ or ""
    if module.partition(".")[0] in sys.stdlib_module_names and module != "__main__":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and Path(function.__code__.co_filename) == Path(file)


def _is_empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _code(code: types.CodeType) -> Iterator[str]:
    """Yield what tells *code* from other code, such as a lambda beside it."""
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant)))
        else:
            yield repr(constant)


def _reads(code: types.CodeType) -> set[str]:
    """Return the names of the globals that *code* reads, and functions in it."""
    names = {
        str(each.argval) for each in dis.get_instructions(code) if each.opname in _GLOBAL
    }
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _reads(constant)
    return names


def _uses(module: types.ModuleType) -> set[str]:
    """Return the names of the modules that the globals of *module* come from."""
    modules = set()
    for value in list(vars(module).values()):
        if isinstance(value, types.ModuleType):
            modules.add(value.__name__)
        elif isinstance(value, (type, types.FunctionType)):
            modules.add(value.__module__ or "")
    return {name for name in modules if name in sys.modules and _has_file(name)}


def _imports(source: bytes) -> set[str]:
    """Return the modules that *source* imports anywhere, of those that have a file.

    What is installed is not among them, nor what a package imports of itself.
    """
    modules = set()
    for name in _imported_names(source):
        top = name.partition(".")[0]
        # Of a package without a file of its own its modules have some.
        used = name if top in sys.modules and _file_of(top) is None else top
        path = None if top in sys.stdlib_module_names else _file_of(used)
        if path is not None and (used == "wfsim" or not _is_installed(path)):
            modules.add(used)
    return modules


@functools.lru_cache(maxsize=4096)
def _imported_names(source: bytes) -> frozenset[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return frozenset(names)


def _file_of(module: str) -> Path | None:
    """Return the file of *module*, loaded or not, None where it has none."""
    if module in sys.modules:
        file = getattr(sys.modules[module], "__file__", None)
        return None if file is None else Path(file)
    if "." in module:  # To look for it would load what it is in.
        return None
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _is_installed(path: Path) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


_loaded: dict[Path, tuple[Any, bytes]] = {}


def _specs() -> dict[str, Any]:
    """Return the specs of all modules that are loaded, by their files."""
    specs = (getattr(each, "__spec__", None) for each in list(sys.modules.values()))
    return {str(spec.origin): spec for spec in specs if spec is not None}


def _as_loaded(path: Path, specs: Mapping[str, Any]) -> bytes:
    """Return what is in the file *path*, of a loaded module what was there at first.

    A file that is changed afterwards changes no result until its module is loaded again,
    which gives it another spec.
    """
    spec, known = specs.get(str(path)), _loaded.get(path)
    if spec is None:
        return path.read_bytes()
    if known is None or known[0] is not spec:
        known = _loaded[path] = (spec, path.read_bytes())
    return known[1]


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""
