"""A package of its own: the benchmarks run beside one that installs another `tests`."""
