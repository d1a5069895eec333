"""The bar of a long run: what it says, and that a short run has none."""

from __future__ import annotations

import io
import sys

import pytest
import tqdm.auto

import wfsim
from fake_resources import polardb
from wfsim.sim import simulation as progress
from wfsim.sim.terminal import Progress


class Bar:
    def __init__(self, **how):
        self.how = how
        self.n = 0
        self.told = []

    def set_postfix_str(self, text, refresh):
        self.told.append((self.n, text))

    def update(self, by):
        self.n += by

    def close(self):
        self.told.append((self.n, "closed"))


def test_the_bar_tells_records_and_virtual_time_and_goes_away(monkeypatch):
    made = []
    monkeypatch.setattr(
        tqdm.auto, "tqdm", lambda **how: made.append(Bar(**how)) or made[0]
    )
    bar = Progress(True)
    bar.show(10, 5.0)
    bar.show(25, 86400.0)
    bar.close()
    assert len(made) == 1
    assert made[0].how["delay"] == 2.0
    assert made[0].told == [
        (0, "5 s of virtual time"),
        (10, "86,400 s of virtual time"),
        (25, "closed"),
    ]


def test_a_run_tells_it_now_and_then_and_a_short_one_never(monkeypatch, capsys):
    told = []
    monkeypatch.setattr(Progress, "show", lambda self, n, now: told.append((n, now)))
    wfsim.simulate(polardb.scenario())
    assert told == []
    usual = progress.EVENTS
    monkeypatch.setattr("wfsim.sim.simulation.EVENTS", 20)
    log = wfsim.simulate(polardb.scenario())
    assert [n for n, _ in told] == sorted(n for n, _ in told)
    assert 0 < told[-1][0] <= len(log)
    assert usual > 20
    assert "tqdm" in sys.modules


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "asked", "shown"),
    [
        (io.StringIO(), None, False),
        (Screen(), None, True),
        (io.StringIO(), True, True),
        (Screen(), False, False),
        (None, None, False),
    ],
)
def test_a_long_run_shows_a_bar_in_a_terminal_and_never_unasked_elsewhere(
    monkeypatch, stream, asked, shown
):
    bars = []
    monkeypatch.setattr(tqdm.auto, "tqdm", lambda **how: bars.append(Bar(**how)) or Bar())
    monkeypatch.setattr("wfsim.sim.simulation.EVENTS", 20)
    monkeypatch.setattr(sys, "stderr", stream)
    wfsim.simulate(polardb.scenario(), progress=asked)
    wfsim.sweep(polardb.scenario, replications=1, progress=asked)
    assert len(bars) == 2 * shown
