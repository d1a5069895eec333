"""What runs mean, as digests: keep them before the engine is redesigned, compare after.

    python -m tests.golden.meaning write FILE [--size small]
    python -m tests.golden.meaning compare FILE [--against OTHER_CHECKOUT]
    python -m tests.golden.meaning compare --against OTHER_CHECKOUT [--size small]
    python -m tests.golden.meaning show SITUATION

``write`` writes one line of JSON for each situation: a digest of the logs of its
simulations and one of all their mementos' texts, or the error that it raises.
``compare`` runs again what FILE tells of and names what differs; with the checkout from
which FILE came it also prints the first line that differs, of both.  Without FILE the
other checkout is run first.  ``show`` prints the lines themselves.  ``--only TEXT`` keeps
the situations whose name has TEXT in it.  ``--without controller,memento.wake`` leaves
these fields of the records out of account, so that one that is meant to be new hides no
difference that is not; what the records of FILE have can be left out without FILE only,
when both sides are run.

What is used is exported by `wfsim` and `fake_resources` or stands in a module that has
not moved, so that all this runs against an old checkout too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import wfsim
from tests import elsewhere
from tests.golden.situations import Situation, situations
from tests.golden.subjects import owners


def log_lines(sims: Iterable[wfsim.Simulation], without: Sequence[str]) -> Iterator[str]:
    for sim in sims:
        for line in sim.log.lines():
            yield _stripped(line, without) if without else line


def memento_lines(sims: Iterable[wfsim.Simulation]) -> Iterator[str]:
    for sim in sims:
        for name in owners(sim):
            for run in sim.mementos(name):
                yield f"{name} {run.key} {run.to_json()}"


def _stripped(line: str, without: Sequence[str]) -> str:
    """Return *line* without these fields; dots lead to what is in a field."""
    record = json.loads(line)
    for path in without:
        *outer, name = path.split(".")
        inner = record
        for step in outer:
            inner = inner.get(step, {})
        inner.pop(name, None)
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def _sha(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def lines_of(situation: Situation, without: Sequence[str] = ()) -> list[str]:
    """Return the lines of its logs, then its mementos; the error if it raises one."""
    try:
        sims = situation.run()
        return [*log_lines(sims, without), *memento_lines(sims)]
    except Exception as error:  # whatever it is: both sides must come to the same
        return [f"{type(error).__name__}: {error}"]


def digests(situation: Situation, without: Sequence[str] = ()) -> dict[str, str]:
    """Return the line that ``write`` writes for *situation*."""
    try:
        sims = situation.run()
        return {
            "situation": situation.name,
            "log": _sha(log_lines(sims, without)),
            "mementos": _sha(memento_lines(sims)),
        }
    except Exception as error:  # whatever it is: both sides must come to the same
        raised = f"{type(error).__name__}: {error}"
        return {"situation": situation.name, "raised": raised}


# -- the command -------------------------------------------------------------------------


def _write(given: argparse.Namespace) -> int:
    count = raised = 0
    with sys.stdout if given.file == "-" else open(given.file, "w") as file:
        for situation in situations(given.size):
            if given.only in situation.name:
                found = digests(situation, given.without)
                print(json.dumps(found, ensure_ascii=False), file=file, flush=True)
                count, raised = count + 1, raised + ("raised" in found)
    print(f"{count} situations, {raised} of which raise an error", file=sys.stderr)
    return 0


def _elsewhere(checkout: str, *arguments: str) -> str:
    """Return what this command prints with the packages of another *checkout*."""
    command = elsewhere.command(checkout, "tests.golden.meaning", *arguments)
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if child.returncode:
        raise SystemExit(f"{' '.join(arguments)} fails with the packages of {checkout}")
    return child.stdout


def _compare(given: argparse.Namespace) -> int:
    if given.file is None and given.against is None:
        raise SystemExit("compare with what? give a FILE, or --against a checkout")
    options = [f"--only={given.only}", *_without(given)]
    if given.file is None:
        text = _elsewhere(given.against, "write", "-", f"--size={given.size}", *options)
    else:
        text = Path(given.file).read_text(encoding="utf-8")
    listed = [json.loads(line) for line in text.splitlines()]
    wanted = {
        each["situation"]: each for each in listed if given.only in each["situation"]
    }
    differing, seen = [], set()
    for situation in situations("full"):
        if situation.name in wanted:
            seen.add(situation.name)
            if digests(situation, given.without) != wanted[situation.name]:
                differing.append(situation)
                print(f"differs: {situation.name}", flush=True)
                if given.against and len(differing) <= given.first:
                    _print_difference(situation, given)
        if len(seen) == len(wanted):
            break
    for name in wanted:
        if name not in seen:
            print(f"gone: {name}")
    gone = len(wanted) - len(seen)
    print(f"{len(wanted)} situations: {len(differing)} differ, {gone} are gone")
    return 1 if differing or gone else 0


def _without(given: argparse.Namespace) -> list[str]:
    return [f"--without={','.join(given.without)}"] if given.without else []


def _print_difference(situation: Situation, given: argparse.Namespace) -> None:
    shown = _elsewhere(given.against, "show", situation.name, *_without(given))
    sides = zip_longest(
        shown.splitlines(), lines_of(situation, given.without), fillvalue="the end"
    )
    for number, (there, here) in enumerate(sides, start=1):
        if there != here:
            pairs = enumerate(zip(there, here, strict=False))
            differing = (place for place, (one, other) in pairs if one != other)
            at = next(differing, min(len(there), len(here)))
            print(f"  line {number} there: {_around(there, at)}")
            print(f"  line {number} here:  {_around(here, at)}", flush=True)
            return
    print("  the lines are equal: FILE is of another commit than that checkout")


def _around(line: str, at: int) -> str:
    """Return the beginning of a long *line*, and what is to be seen *at* a character."""
    head, before, after = 120, 40, 160
    if at + after <= head + before + after:
        return line[: head + before + after]
    return f"{line[:head]} ... {line[at - before : at + after]}"


def _show(given: argparse.Namespace) -> int:
    for situation in situations("full"):
        if situation.name == given.situation:
            print(*lines_of(situation, given.without), sep="\n")
            return 0
    raise SystemExit(f"no situation {given.situation!r}; write FILE names them all")


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--only", default="", metavar="TEXT")
    options.add_argument("--size", default="full", choices=("full", "small"))
    options.add_argument(
        "--without", default=(), metavar="NAME,NAME", type=lambda text: text.split(",")
    )
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden.meaning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    write = commands.add_parser("write", parents=[options])
    write.add_argument("file", help="- for the standard output")
    write.set_defaults(do=_write)
    compare = commands.add_parser("compare", parents=[options])
    compare.add_argument("file", nargs="?")
    compare.add_argument("--against", metavar="OTHER_CHECKOUT")
    compare.add_argument(
        "--first", type=int, default=10, help="of how many the lines are shown"
    )
    compare.set_defaults(do=_compare)
    show = commands.add_parser("show", parents=[options])
    show.add_argument("situation")
    show.set_defaults(do=_show)
    given = parser.parse_args(arguments)
    return int(given.do(given))


if __name__ == "__main__":
    sys.exit(main())
