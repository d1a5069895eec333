"""One colour for one meaning."""

from __future__ import annotations

from wfsim.report import palette


def test_no_state_looks_like_another_one():
    names = [f"S{index:02}" for index in range(24)]
    styles = palette.state_styles(["Running", "Interrupt", "Creating", "Init", *names])
    assert len(set(styles.values())) == len(styles)


def test_the_well_known_states_look_alike_in_every_chart():
    alone = palette.state_styles(["Creating"])
    among = palette.state_styles(["AddRo", "Creating", "Rebuild"])
    assert alone["Creating"] == among["Creating"]
