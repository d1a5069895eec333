"""State graphs as text for Mermaid and Graphviz."""

from __future__ import annotations

import re
import shutil
import subprocess

from wfsim.model.machine import Edge, StateMachine, to_dot, to_mermaid

EVIL = 'a "b" \\ ; : # <c>\n--> end'


def wants_backup(resource: object) -> bool:
    return False


def machine() -> StateMachine:
    return (
        StateMachine("db")
        .stable("Running", "Interrupt", "Stopped")
        .transition("Running", "BackingUp", when=wants_backup, run="NightlyBackup")
    )


def test_mermaid_draws_every_state_and_edge():
    assert machine().to_mermaid() == (
        "stateDiagram-v2\n"
        "    direction LR\n"
        '    state "Running" as s0\n'
        '    state "Interrupt" as s1\n'
        '    state "Stopped" as s2\n'
        '    state "BackingUp" as s3\n'
        "    s0 --> s3 : wants_backup\n"
        "    s3 --> s0 : NightlyBackup done\n"
        "    s3 --> s1 : interrupt\n"
        "    s1 --> s3 : recover"
    )


def test_graphviz_draws_every_state_and_edge():
    lines = machine().to_dot(current="Stopped").splitlines()
    assert '    "Stopped" [fillcolor="#F0E442", penwidth=2]' in lines
    assert '    "Running" -> "BackingUp" [label="wants_backup"]' in lines
    assert '    "BackingUp" -> "Interrupt" [label="interrupt", style=dashed]' in lines
    assert (lines[0], lines[-1]) == ("digraph {", "}")


def test_mermaid_marks_the_current_state_though_no_edge_touches_it():
    lines = to_mermaid([Edge("A", "B", "check", "c")], current="C").splitlines()
    assert lines[-3:] == [
        "    s0 --> s1 : c",
        "    classDef current fill:#F0E442,color:#000",
        "    class s2 current",
    ]


def test_nothing_in_a_name_means_anything_to_mermaid():
    lines = to_mermaid([Edge(EVIL, "end", "check", EVIL)]).splitlines()
    escaped = "a #34;b#34; #92; #59; #58; #35; #60;c#62; --#62; end"
    assert lines[2:] == [
        f'    state "{escaped}" as s0',
        '    state "end" as s1',
        f"    s0 --> s1 : {escaped}",
    ]


def test_nothing_in_a_name_ends_a_graphviz_string():
    text = to_dot([Edge(EVIL, "B", "check", EVIL)])
    strings = re.findall(r'"(?:[^"\\]|\\.)*"', text)
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    assert '"a \\"b\\" \\\\ ; : # <c>\\n--> end"' in strings
    assert "end" not in outside
    dot = shutil.which("dot")
    if dot is not None:
        subprocess.run(
            [dot, "-Tsvg"], input=text, text=True, check=True, capture_output=True
        )


def test_no_edges_make_a_diagram_all_the_same():
    assert to_mermaid([]) == "stateDiagram-v2\n    direction LR"
    assert to_dot([]).endswith("}")


def test_a_notebook_shows_a_machine_as_mermaid():
    bundle = machine()._repr_mimebundle_()
    assert bundle["text/vnd.mermaid"] == machine().to_mermaid()
    assert bundle["text/plain"] == repr(machine())
