"""Event logs as tools of process mining write them: an end is an execution."""

from __future__ import annotations

import bz2
import gzip
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wfsim
from wfsim.history import source
from wfsim.history.times import SECOND, TimeFormat, stamp

EVENTS = {"case": "c", "step": "a", "time": "t", "transition": "x"}
ROWS = {"case": "c", "step": "a", "start": "s", "end": "e"}


def read(tmp_path, text, columns=EVENTS, name="log.csv", **more):
    file = tmp_path / name
    file.write_text(text)
    return wfsim.read_history(file, columns=columns, **more)


def rows(past, *columns):
    frame = past.attempts[list(columns or ("step", "attempt", "status", "duration"))]
    return [tuple(row) for row in frame.fillna(-1.0).itertuples(index=False)]


def xes(*traces):
    """A log of traces: (name, [{attribute: value}, ...])."""
    text = ""
    for name, events in traces:
        text += f'<trace><string key="concept:name" value="{name}"/>'
        for event in events:
            items = (f'<string key="{k}" value="{v}"/>' for k, v in event.items())
            text += f"<event>{''.join(items)}</event>"
        text += "</trace>"
    return f"<log>{text}</log>"


def event(step, time, transition="complete", **more):
    keys = {"concept:name": step, "time:timestamp": f"2024-03-01T{time}:00Z"}
    return {**keys, "lifecycle:transition": transition, **more}


def test_every_end_is_an_execution_also_of_a_step_that_is_repeated(tmp_path):
    past = read(tmp_path, "c,a,t,x\n1,A,10,complete\n1,A,40,failed\n1,A,50,complete\n")
    assert rows(past) == [
        ("A", 1, "completed", -1.0),
        ("A", 2, "failed", -1.0),
        ("A", 3, "completed", -1.0),
    ]
    assert wfsim.calibrate(past).frame["failure"].tolist() == [pytest.approx(1 / 3)]


def test_starts_and_ends_without_an_instance_are_paired_in_their_order(tmp_path):
    past = read(
        tmp_path,
        "c,a,t,x\n1,A,0,start\n1,A,1,start\n1,A,10,complete\n1,A,21,complete\n"
        "1,A,30,complete\n",
    )
    assert rows(past) == [
        ("A", 1, "completed", 10.0),
        ("A", 2, "completed", 20.0),
        ("A", 3, "completed", -1.0),
    ]


def test_instances_tell_apart_what_is_carried_out_at_the_same_time(tmp_path):
    lines = (
        "1,A,one,0,start\n1,A,two,1,start\n1,A,two,3,complete\n1,A,one,9,complete\n"
        "1,A,three,10,start\n1,A,three,11,start\n1,A,three,15,complete\n"
    )
    past = read(tmp_path, f"c,a,i,t,x\n{lines}", {**EVENTS, "instance": "i"})
    assert rows(past) == [
        ("A", 1, "completed", 9.0),
        ("A", 2, "completed", 2.0),
        ("A", 3, "crashed", 0.0),
        ("A", 4, "completed", 4.0),
    ]


def test_instances_of_xes_are_told_apart(tmp_path):
    (tmp_path / "log.xes").write_text(
        xes(
            (
                "c1",
                [
                    event("Review", "10:00", "start", **{"concept:instance": "a"}),
                    event("Review", "10:01", "start", **{"concept:instance": "b"}),
                    event("Review", "10:04", "complete", **{"concept:instance": "b"}),
                    event("Review", "10:10", "complete", **{"concept:instance": "a"}),
                ],
            )
        )
    )
    past = wfsim.read_history(tmp_path / "log.xes")
    assert rows(past) == [
        ("Review", 1, "completed", 600.0),
        ("Review", 2, "completed", 180.0),
    ]


def test_two_traces_of_one_name_are_two_cases(tmp_path):
    one = ("order", [event("Pay", "10:00", "start"), event("Pay", "10:05")])
    two = ("order", [event("Pay", "10:02", "start"), event("Pay", "10:03")])
    (tmp_path / "log.xes").write_text(xes(one, two))
    past = wfsim.read_history(tmp_path / "log.xes")
    assert rows(past, "case", "step", "duration") == [
        ("order", "Pay", 300.0),
        ("order (2)", "Pay", 60.0),
    ]


def test_an_event_with_a_start_of_its_own_is_a_whole_execution(tmp_path):
    log = xes(
        (
            "c1",
            [
                event("A", "10:03", start_timestamp="2024-03-01T10:00:00Z"),
                event("A", "10:03", start_timestamp="2024-03-01T10:01:00Z"),
                event("B", "10:04", "start"),
                event("B", "10:05", "ate_abort"),
            ],
        )
    )
    (tmp_path / "log.xes").write_text(log)
    told = [
        ("A", 1, "completed", 180.0),
        ("A", 2, "completed", 120.0),
        ("B", 1, "crashed", 60.0),
    ]
    assert rows(wfsim.read_history(tmp_path / "log.xes")) == told
    columns = {"start": "start_timestamp", "end": "time:timestamp"}
    assert rows(wfsim.read_history(tmp_path / "log.xes", columns=columns)) == told


def test_events_of_xes_that_look_alike_all_count(tmp_path):
    log = xes(("1", [{"concept:name": "A", "time:timestamp": "1980-01-01"}] * 3))
    (tmp_path / "log.xes").write_text(log)
    assert len(wfsim.read_history(tmp_path / "log.xes")) == 3


def test_what_is_withdrawn_before_it_began_is_no_execution(tmp_path):
    past = read(
        tmp_path,
        "c,a,t,x\n1,A,0,schedule\n1,A,5,withdraw\n1,B,6,start\n1,B,9,withdraw\n",
    )
    assert rows(past) == [("B", 1, "cancelled", 3.0)]


def test_a_file_with_the_newest_first_is_read_as_if_it_were_turned_round(tmp_path):
    past = read(
        tmp_path,
        "c,a,t,x\n1,C,9,complete\n1,B,9,complete\n1,B,9,start\n1,A,9,complete\n"
        "1,A,2,start\n",
    )
    assert rows(past) == [
        ("A", 1, "completed", 7.0),
        ("B", 1, "completed", 0.0),
        ("C", 1, "completed", -1.0),
    ]


def test_a_row_that_came_twice_counts_once_unless_both_are_wanted(tmp_path):
    text = "c,a,t,x\n1,A,10,complete\n1,A,10,complete\n1,A,10,complete\n1,B,10,complete\n"
    past = read(tmp_path, text)
    assert rows(past, "step", "attempt") == [("A", 1), ("B", 1)]
    assert past.problems == (
        f"{tmp_path / 'log.csv'}:3: is like a line before, and not counted again; nor is "
        "any of 1 other",
    )
    assert len(read(tmp_path, text, duplicates="keep")) == 4
    with pytest.raises(wfsim.UsageError, match="duplicates is 'first'; give 'drop' or"):
        read(tmp_path, text, duplicates="first")


@pytest.mark.parametrize("columns", [{"time": "t"}, {"end": "t"}])
def test_without_a_transition_every_row_is_an_end(tmp_path, columns):
    text = "c,a,t\n1,Copy,2024-03-01 10:00\n1,Paste,2024-03-01 10:05\n"
    past = read(tmp_path, text, {"case": "c", "step": "a", **columns})
    assert rows(past) == [("Copy", 1, "completed", -1.0), ("Paste", 1, "completed", -1.0)]
    assert past.attempts["end"].tolist() == [0.0, 300.0]


def test_a_row_without_a_start_is_an_execution_of_unknown_duration(tmp_path):
    past = read(tmp_path, "c,a,s,e\n1,A,,10\n1,B,4,10\n1,C,,\n", ROWS)
    assert rows(past) == [("B", 1, "completed", 6.0), ("A", 1, "completed", -1.0)]
    assert past.problems == (f"{tmp_path / 'log.csv'}:4: it has no start",)


LOG = xes(("c1", [event("A", "10:00", "start"), event("A", "10:03")]))


@pytest.mark.parametrize("name", ["log.xes.gz", "log.xes", "log.gz", "log"])
def test_what_gzip_has_packed_is_unpacked_whatever_it_is_called(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(LOG.encode()))
    assert rows(wfsim.read_history(tmp_path / name)) == [("A", 1, "completed", 180.0)]


def test_csv_lines_and_logs_may_be_packed_too(tmp_path):
    scenario = wfsim.Scenario.of_flow(
        wfsim.Flow("F", (wfsim.Step("A", duration=wfsim.Duration.parse(3)),))
    )
    log = wfsim.simulate(scenario)
    for name, write in (
        ("shared_workflow.txt", wfsim.export.to_history),
        ("log.jsonl", lambda log, path: log.to_jsonl(path)),
    ):
        plain = write(log, tmp_path / name)
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        assert rows(wfsim.read_history(packed)) == [("A", 1, "completed", 3.0)]
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(b"c,a,s,e\n1,A,2,5\n"))
    past = wfsim.read_history(tmp_path / "log.csv.gz", columns=ROWS)
    assert rows(past) == [("A", 1, "completed", 3.0)]


def test_what_is_packed_badly_or_otherwise_is_refused_with_the_cure(
    tmp_path, monkeypatch
):
    file = tmp_path / "log.xes.gz"
    for content, message in (
        (bz2.compress(LOG.encode()), "log.xes.gz:1: is packed by bzip2; unpack it first"),
        (gzip.compress(LOG.encode())[:-9], "1: cannot be unpacked: .*; give a whole gzi"),
        (b"\x1f\x8b" + b"x" * 50, "log.xes.gz:1: cannot be unpacked: Unknown compr"),
    ):
        file.write_bytes(content)
        with pytest.raises(wfsim.DefinitionError, match=message):
            wfsim.read_history(file)
    monkeypatch.setattr(source, "MAX_BYTES", 10_000)
    file.write_bytes(gzip.compress(LOG.encode() + b" " * 20_000))
    with pytest.raises(wfsim.DefinitionError, match=r"gz:1: larger than 10000 by"):
        wfsim.read_history(file)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_the_delimiter_is_that_with_which_the_head_has_the_columns(tmp_path, mark):
    text = "c;a;s;e\n1;Copy;1,5;3,25\n".replace(";", mark)
    assert rows(read(tmp_path, text, ROWS)) == [("Copy", 1, "completed", 1.75)]
    assert rows(read(tmp_path, text, ROWS, delimiter=mark, decimal=","))
    wrong = {**ROWS, "case": "order"}
    with pytest.raises(wfsim.DefinitionError) as error:
        read(tmp_path, text, wrong)
    assert str(error.value.problems[0]).partition(": ")[2] == (
        f"no column 'order'; known: {text.splitlines()[0]!r}; with delimiter={mark!r} "
        "they are ['c', 'a', 's', 'e']"
    )


def test_a_spreadsheet_says_its_delimiter_in_a_line_of_its_own(tmp_path):
    past = read(tmp_path, "sep=;\nc;a;s;e\n1;A;0;2\n1;B;x;2\n", ROWS)
    assert rows(past) == [("A", 1, "completed", 2.0)]
    assert past.problems[0].startswith(f"{tmp_path / 'log.csv'}:4: 'x' is neither")


def test_empty_lines_are_no_rows_and_no_head(tmp_path):
    past = read(tmp_path, "\n\nc,a,s,e\n\n1,A,0,2\n\n", ROWS)
    assert (rows(past), past.problems) == ([("A", 1, "completed", 2.0)], ())
    with pytest.raises(wfsim.DefinitionError, match="1: the file is empty"):
        read(tmp_path, "\n\n", ROWS)


def test_a_comma_that_may_separate_thousands_is_refused_unless_another_tells(tmp_path):
    text = "c;a;s;e\n1;A;1,500;3,250\n"
    with pytest.raises(wfsim.DefinitionError, match=r"'1,500' has a comma, .*decimal='"):
        read(tmp_path, text, ROWS)
    assert rows(read(tmp_path, text, ROWS, decimal=","))[0][3] == 1.75
    # The second row leaves no doubt, for the first one neither.
    past = read(tmp_path, f"{text}1;B;4,5;5,125\n", ROWS)
    assert rows(past, "step", "duration") == [("A", 1.75), ("B", 0.625)]


DATES = [
    ("2021/07/01 12:00:00.5", 0.5),
    ("2021.07.01 12:00", 0.0),
    ("01.07.2021 12:00:30", 30.0),
    ("1.7.2021, 12:00", 0.0),
    ("1-Jul-2021 12:00", 0.0),
    ("01 July 2021 14:00 +02:00", 0.0),
    ("Jul 1, 2021 12:00 PM", 0.0),
    ("July 1 2021 2:00 PM", 7200.0),
    ("01/Jul/2021:12:00:07 +0000", 7.0),
    ("1625140800000", 0.0),
    ("1625140800000250", 0.00025),
    ("1625140800000000001", 1e-9),
    (1625140800, 0.0),
]


@pytest.mark.parametrize(("value", "seconds"), DATES)
def test_a_date_or_a_number_that_leaves_no_doubt_is_read(value, seconds):
    noon = int(datetime(2021, 7, 1, 12, tzinfo=UTC).timestamp()) * SECOND
    assert stamp(value) - noon == round(seconds * SECOND)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("03/04/2021 10:00", "the day may come first or second; give date_format, such"),
        ("03-04-2021", "the day may come first or second; give date_format"),
        ("13/14/2021", "is no date"),
        ("01.07.21", "its year has not four digits; give date_format"),
        ("1 Juli 2021", "'Juli' is no English month"),
        ("Jul 1 2021 13:00 PM", "its hour is not from 1 to 12"),
        ("2021-07-01 12:00 CET", "is neither seconds nor a date such as 2021-07-01T1"),
        ("nan", "is neither seconds nor a date"),
        (math.inf, "is neither seconds nor a date"),
        (1e99, "is not a time"),
        (True, "True is not a time"),
    ],
)
def test_a_date_that_may_be_two_or_is_none_is_refused(value, problem):
    with pytest.raises(ValueError, match=problem):
        stamp(value)


def test_one_date_of_a_file_may_say_how_the_others_are_meant(tmp_path):
    text = "c,a,s,e\n1,A,01/02/2024 10:00,01/02/2024 11:00\n1,B,{0} 10:00,{0} 10:30\n"
    day_first = read(tmp_path, text.format("13/02/2024"), ROWS)
    assert day_first.attempts["start"].tolist() == [0.0, 12 * 86_400.0]
    month_first = read(tmp_path, text.format("02/13/2024"), ROWS)
    assert month_first.attempts["start"].tolist() == [0.0, 42 * 86_400.0]
    with pytest.raises(wfsim.DefinitionError, match="the day may come first or second"):
        read(tmp_path, text.format("03/02/2024"), ROWS)
    chosen = read(tmp_path, text.format("03/02/2024"), ROWS, date_format="%d/%m/%Y %H:%M")
    assert chosen.attempts["start"].tolist() == [0.0, 2 * 86_400.0]


def test_dates_of_both_orders_in_one_file_are_refused_where_they_may_be_two(tmp_path):
    text = "c,a,s,e\n1,A,13/02/2024,13/02/2024\n1,B,02/13/2024,02/13/2024\n"
    past = read(tmp_path, f"{text}1,C,01/02/2024,01/02/2024\n", ROWS)
    assert rows(past, "step") == [("A",), ("B",)]
    assert "the day may come first or second" in past.problems[0]


@pytest.mark.parametrize(
    ("unit", "seconds"), [(None, 3.0), ("ms", 0.003), ("min", 180.0), ("d", 259_200.0)]
)
def test_the_unit_of_numbers_can_be_given(tmp_path, unit, seconds):
    past = read(tmp_path, "c,a,s,e\n1,A,2,5\n", ROWS, unit=unit)
    assert rows(past)[0][3] == seconds


def test_one_unit_holds_for_all_numbers_of_a_file(tmp_path):
    # In milliseconds, the first from the year 1970 and no number of seconds either.
    past = read(tmp_path, "c,a,s,e\n1,A,86400000,1625140800000\n", ROWS)
    assert rows(past)[0][3] == 1625140800.0 - 86400.0


def test_what_is_no_format_of_times_is_refused(tmp_path):
    for given_format, message in (
        ({"unit": "weeks"}, "unit: unknown 'weeks'"),
        ({"decimal": ";"}, "decimal is ';'; give '.' or ','"),
        ({"date_format": "day first"}, "date_format is 'day first'; give date_format"),
        ({"delimiter": ", "}, "delimiter is ', '; give one character"),
    ):
        with pytest.raises(wfsim.UsageError, match=message):
            read(tmp_path, "c,a,s,e\n1,A,2,5\n", ROWS, **given_format)


@given(st.text(max_size=30))
def test_whatever_stands_for_a_time_is_a_time_or_a_value_error(text):
    times = TimeFormat()
    try:
        time = times.learned_stamp(text)
    except ValueError:
        return
    assert time is None or isinstance(time, int)


def test_a_row_with_more_cells_than_the_head_is_told_and_not_guessed(tmp_path):
    path = tmp_path / "log.csv"
    # Decimal commas in a file with commas: 1 to 5 s is not what was meant.
    path.write_text('c,a,s,e\n1,Copy,1,5,3,25\n2,Copy,"1,5","3,25"\n3,Copy,1,2,,\n')
    columns = {"case": "c", "step": "a", "start": "s", "end": "e"}
    runs = wfsim.read_history(path, columns=columns, decimal=",")
    assert runs.attempts["duration"].tolist() == [1.0, 1.75]
    assert runs.problems == (
        f"{path}:2: it has 2 cells more than the head; quote a cell with commas",
    )
