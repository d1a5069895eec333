"""How values and names are written in errors."""

import pytest

from wfsim.text import shown, suggest


@pytest.mark.parametrize(
    ("name", "names", "wanted"),
    [
        ("stepNam", {"stepName", "className"}, "; did you mean 'stepName'?"),
        ("pkg.CreatRwPod", ["CreateRwPod"], "; did you mean 'CreateRwPod'?"),
        ("zzz", ["b", "a"], "; known: 'a', 'b'"),
        ("zzz", [], "; known: none"),
        (
            "q",
            list("abcdefghijkl"),
            "; known: " + ", ".join(map(repr, "abcdefghij")) + ", ...",
        ),
    ],
)
def test_what_is_suggested_is_the_nearest_name_or_the_names_there_are(
    name, names, wanted
):
    assert suggest(name, names) == wanted


def test_what_was_written_is_shown_as_in_yaml_and_cut_short():
    assert [shown(value) for value in (None, True, 3, "a")] == [
        "null",
        "true",
        "3",
        "'a'",
    ]
    assert len(shown("x" * 10_000)) == 80
