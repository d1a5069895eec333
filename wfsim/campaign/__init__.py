"""Every interruption of a scenario within a bound: run, compared, shrunk, reported."""
