"""A document is plain data with lines, and nothing that could do harm."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, RootModel

from wfsim.errors import DefinitionError
from wfsim.files.document import MAX_BYTES, MAX_DEPTH, parse_document, read_document
from wfsim.files.validation import Omissible, Strict, validated

FLOW = """\
# a comment
flowName: Backup
steps:
- className: pkg.Take
  stepName: Take

- stepName: Copy
  retry: {limit: 3,
          delay: 2}
"""


def problems(text):
    with pytest.raises(DefinitionError) as caught:
        parse_document(text, "f.yaml")
    return [str(each) for each in caught.value.problems]


def test_a_document_is_plain_data():
    assert parse_document(FLOW, "f.yaml").data == {
        "flowName": "Backup",
        "steps": [
            {"className": "pkg.Take", "stepName": "Take"},
            {"stepName": "Copy", "retry": {"limit": 3, "delay": 2}},
        ],
    }


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ((), 2),
        (("flowName",), 2),
        (("steps",), 3),
        (("steps", 0), 4),
        (("steps", 0, "stepName"), 5),
        (("steps", 1), 7),
        (("steps", 1, "retry", "delay"), 9),
    ],
)
def test_every_key_and_item_knows_its_line(place, line):
    assert parse_document(FLOW, "f.yaml").line_of(place) == line


def test_what_is_missing_has_the_line_of_what_should_hold_it():
    document = parse_document(FLOW, "f.yaml")
    assert document.line_of(("steps", 1, "timeout")) == 7
    assert document.line_of(("nowhere", 3)) == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("3.5", 3.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.5e-3", 0.0015),
        (".inf", float("inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("'3'", "3"),
        ('"true"', "true"),
        ("yes", "yes"),
        ("off", "off"),
        ("010", "010"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2021-07-01", "2021-07-01"),
        ("<<", "<<"),
        ("9" * 100, int("9" * 100)),
        ("9" * 101, "9" * 101),
        ('"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = parse_document(f"x: {text}", "f.yaml").data["x"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1: the file is empty; write a mapping"),
        ("# only a comment\n", "1: the file is empty; write a mapping"),
        ("---\n~\n", "1: the file is empty; write a mapping"),
        ("a: 1\nb: 2\na: 3\n", "3: key 'a' is on line 1 too; remove one"),
        ("x:\n  '': 1\n  '': 2\n", "3: key '' is on line 2 too; remove one"),
        ("a: &x 1\nb: *x\n", "2: alias *x; write the value out instead"),
        ("a: 1\n---\nb: 2\n", "2: a second document; keep one in a file"),
        ("x:\n- 1: a\n", "2: key 1 is not text; put it in quotes"),
        ("x:\n  null: a\n", "2: key null is not text; put it in quotes"),
        ("? [a]\n: 1\n", "1: key ['a'] is not text; use a word"),
        (
            "a: 1\nb: !!python/object/apply:os.system [ls]\n",
            "2: tag 'tag:yaml.org,2002:python/object/apply:os.system' is not taken; "
            "remove it",
        ),
        ("a: !!str 3\n", "1: tag 'tag:yaml.org,2002:str' is not taken; remove it"),
        (
            "a:\n\tb: 1\n",
            "2: not valid YAML: found character '\\t' that cannot start any token; "
            "indent with spaces",
        ),
        (
            "a: 1\nb: [1,\n",
            "3: not valid YAML: expected the node content, but found '<stream end>'; "
            "look at its indentation and quotes",
        ),
        (
            'a: "\\UFFFFFFFF"\n',
            "1: not valid YAML: a number or \\U that is out of range; correct it",
        ),
        ("a: 1\nb: \0\n", "2: character '\\x00' is not text; remove it"),
        ("a: '\ud800'\n", "1: byte 0xed is not UTF-8; save the file as UTF-8"),
        ('a: "\\ud800"\n', "1: '\\ud800' holds half a character; correct the escape"),
        (b"a: 1\nb: \xff\n", "2: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("[" * 100_000, f"1: nested more than {MAX_DEPTH} deep; flatten it"),
        ("- " * 100_000, f"1: nested more than {MAX_DEPTH} deep; flatten it"),
        ("? " * 100_000, f"1: nested more than {MAX_DEPTH} deep; flatten it"),
        (
            "x" * (MAX_BYTES + 1),
            f"1: larger than {MAX_BYTES} bytes; split it into several files",
        ),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_line(text, problem):
    assert problems(text) == [f"f.yaml:{problem}"]


def test_all_that_is_wrong_with_the_items_is_told_at_once():
    assert problems("a: 1\na: !x 2\n3: *b\n") == [
        "f.yaml:2: key 'a' is on line 1 too; remove one",
        "f.yaml:2: tag '!x' is not taken; remove it",
        "f.yaml:3: key 3 is not text; put it in quotes",
        "f.yaml:3: alias *b; write the value out instead",
    ]


def test_a_bomb_of_aliases_does_not_go_off():
    rows = ["a0: &a0 [x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert len(problems("\n".join(rows))) == 29 * 9


def test_the_deepest_nesting_that_is_taken_loads():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert repr(parse_document(text, "f.yaml").data) == text


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\n")
    document = read_document(path)
    assert (document.name, document.data) == (str(path), {"a": "é"})


def test_a_file_that_is_not_there_is_a_definition_error(tmp_path):
    with pytest.raises(DefinitionError) as caught:
        read_document(tmp_path / "none.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/none.yaml:1: cannot be read: No such file or directory; "
        "give the path of a file"
    )


def test_a_path_that_no_file_can_have_is_a_definition_error():
    with pytest.raises(DefinitionError, match="null"):
        read_document("a\0b")


def test_a_file_beyond_the_bound_is_refused_unread(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(DefinitionError, match="larger than 1048576 bytes"):
        read_document(path)


class Inner(Strict):
    restart_after: float = 1.0


class Crash(Strict):
    kind: Literal["crash"] = "crash"
    at: float
    then: Omissible[Inner] = None


class Slow(Strict):
    kind: Literal["slow"] = "slow"
    by: int


class Plan(Strict):
    faults: list[Annotated[Crash | Slow, Field(discriminator="kind")]]
    notes: dict[str, Inner] | None = None


def refusals(text, model=Plan):
    with pytest.raises(DefinitionError) as caught:
        validated(model, parse_document(text, "p.yaml"))
    return [str(each) for each in caught.value.problems]


def test_a_valid_document_becomes_its_model():
    plan = validated(Plan, parse_document("faults:\n- {kind: crash, at: 3}\n", "p.yaml"))
    assert plan == Plan(faults=[Crash(at=3.0)])


def test_problems_come_by_line_with_the_nearest_key_of_the_mapping_they_are_in():
    text = "fault: []\nnotes:\n  x:\n    restartAfte: 3\nfaults: 3\n"
    assert refusals(text) == [
        "p.yaml:1: unknown key 'fault'; did you mean 'faults'?",
        "p.yaml:4: unknown key 'restartAfte'; did you mean 'restartAfter'?",
        "p.yaml:5: 'faults' must be a list, got 3",
    ]


def test_the_branches_of_a_union_leave_no_trace_in_lines_and_hints():
    text = (
        "faults:\n- kind: crash\n  att: 3\n  then:\n    restartafter: 1\n"
        "- kind: slow\n  att: 1\n"
    )
    assert refusals(text) == [
        "p.yaml:2: 'at' is missing; add it",
        "p.yaml:3: unknown key 'att'; did you mean 'at'?",
        "p.yaml:5: unknown key 'restartafter'; did you mean 'restartAfter'?",
        "p.yaml:6: 'by' is missing; add it",
        "p.yaml:7: unknown key 'att'; known: 'by', 'kind'",
    ]


def test_the_branches_of_a_union_without_a_tag_are_told_apart():
    class Either(Strict):
        fault: Crash | Slow

    assert refusals("fault:\n  att: 1\n", Either) == [
        "p.yaml:1: 'at' is missing; add it",
        "p.yaml:1: 'by' is missing; add it",
        "p.yaml:2: unknown key 'att'; did you mean 'at'?",
        "p.yaml:2: unknown key 'att'; known: 'by', 'kind'",
    ]


def test_an_unknown_kind_is_told_with_those_there_are():
    assert refusals("faults:\n- at: 1\n- kind: krash\n- 3\n") == [
        "p.yaml:2: 'kind' is missing; add it",
        "p.yaml:3: 'kind' is 'krash'; did you mean 'crash'?",
        "p.yaml:4: item 3 of 'faults' must be a mapping, got 3",
    ]


def test_no_type_is_guessed():
    text = "at: '3'\nthen: [1]\n"
    assert refusals(text, Crash) == [
        "p.yaml:1: 'at' must be a number, got '3'",
        "p.yaml:2: 'then' must be a mapping, got [1]",
    ]
    assert refusals("at: true\n", Crash) == ["p.yaml:1: 'at' must be a number, got true"]
    assert refusals("by: 3.0\n", Slow) == [
        "p.yaml:1: 'by' must be a whole number, got 3.0"
    ]


def test_a_number_without_end_is_refused():
    assert refusals("at: .nan\n", Crash) == [
        "p.yaml:1: 'at' must be a finite number, got nan"
    ]


def test_a_key_without_a_value_is_refused():
    assert refusals("at: 1\nthen:\n", Crash) == [
        "p.yaml:2: 'then' has no value; write one or remove the key"
    ]


def test_any_pydantic_model_may_be_checked():
    class Plain(BaseModel):
        mode: str

    assert refusals("- 1\n", Plain) == ["p.yaml:1: the file must be a mapping, got [1]"]
    assert refusals("mode: 3\n", Plain) == [
        "p.yaml:1: 'mode' must be text, got 3; put it in quotes"
    ]
    assert refusals("- mode: a\n- 3\n", RootModel[list[Plain]]) == [
        "p.yaml:2: item 2 must be a mapping, got 3"
    ]
