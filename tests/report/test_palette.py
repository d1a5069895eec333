

def test_no_state_looks_like_a_well_known_one():
    names = [f"S{index:02}" for index in range(24)]
    styles = palette.state_styles(["Running", "Interrupt", "Creating", "Init", *names])
    assert len(set(styles.values())) == len(styles)
