"""Programs of an environment of their own are no modules of the suite's."""

collect_ignore = ["attempts.py", "mining.py"]
