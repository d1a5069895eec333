"""Whatever is in the files, it loads or it is a `DefinitionError` with lines."""

import json
import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sizes import FULL
from wfsim.errors import DefinitionError
from wfsim.files.document import parse_document
from wfsim.files.flow_loader import load_flow, load_flows

TOKENS = [
    *("flowName", "groupName", "steps", "className", "stepName", "retry", "limit", "cap"),
    *(
        "timeout",
        "deadline",
        "duration",
        "failure",
        "percentiles",
        "uniform",
        "p50",
        "p99",
        "classNames",
        "mode",
        "polling",
        "onSuccess",
        "onFailure",
    ),
    *(
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n- ",
        "\t",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "#",
        "|",
        ">",
    ),
    *(
        "&a ",
        "*a",
        "!x ",
        "!!int ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "'",
        '"',
        '"\\u',
        "\\",
    ),
    *(
        "1",
        "-1",
        "1e999",
        ".inf",
        ".nan",
        "true",
        "null",
        "A",
        "B",
        "é",
        "\ufeff",
        "\x85",
    ),
]
WORDS = st.sampled_from(
    [token for token in TOKENS if token.isalnum()] + ["", "p.A", "a b"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
)
STEPS = st.fixed_dictionaries(
    {},
    optional={
        "className": WORDS,
        "stepName": WORDS,
        "groupName": WORDS,
        "duration": VALUES,
        "failure": SCALARS,
        "retry": st.dictionaries(WORDS, SCALARS, max_size=3) | SCALARS,
        "timeout": SCALARS,
        "classNames": st.lists(WORDS, max_size=3) | SCALARS,
        "mode": st.sampled_from(["sync", "polling"]) | SCALARS,
        "interval": SCALARS,
        "limit": SCALARS,
        "undo": WORDS,
        "onSuccess": WORDS,
        "onFailure": WORDS,
        "onCancel": WORDS,
    },
)
FILES = st.fixed_dictionaries(
    {"steps": st.lists(STEPS | VALUES, max_size=4)},
    optional={
        "flowName": WORDS,
        "groupName": WORDS,
        "retry": VALUES,
        "deadline": SCALARS,
        "bizType": st.sampled_from(["cluster", "host", "platform"]) | SCALARS,
    },
)
TEXTS = (
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.lists(st.sampled_from(TOKENS), max_size=40).map(lambda t: "".join(t).encode())
    | (FILES | VALUES).map(lambda value: json.dumps(value).encode())
)


def check(load, name):
    """Call *load*, and look at what it says if it refuses."""
    try:
        return load()
    except DefinitionError as error:
        problems = [str(each) for each in error.problems]
    assert problems
    for problem in problems:
        assert re.match(rf"{re.escape(name)}[^:\n]*:[1-9][0-9]*: \S.*\Z", problem)
        problem.encode()
    return None


@given(TEXTS)
@settings(max_examples=400 if FULL else 150, deadline=None)
def test_any_bytes_are_a_document_or_refused(text):
    document = check(lambda: parse_document(text, "f.yaml"), "f.yaml")
    if document:
        json.dumps(document.data).encode()
        assert set(document.lines.values()) <= set(range(1, text.count(b"\n") + 200))


@given(TEXTS, TEXTS, st.sampled_from([None, (), ("A", "p.B")]))
@settings(max_examples=400 if FULL else 150, deadline=None)
def test_any_folder_loads_or_is_refused(flow, group, classes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_bytes(flow)
        (Path(folder) / "g_step_group.yaml").write_bytes(group)
        check(lambda: load_flows(folder, classes=classes), folder)
        check(lambda: load_flow(path, classes=classes), folder)


@given(VALUES)
@settings(max_examples=200 if FULL else 100, deadline=None)
def test_json_reads_as_itself(value):
    # Nan is not itself, and JSON writes infinity as no YAML does.
    text = json.dumps({"x": value}).replace("NaN", "0").replace("Infinity", "0")
    assert parse_document(text, "f.yaml").data == json.loads(text)
