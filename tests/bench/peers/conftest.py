"""Nothing here is collected: the peers are not part of `test`; see `make bench-peers`."""

collect_ignore_glob = ["*.py"]
