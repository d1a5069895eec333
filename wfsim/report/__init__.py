"""Reports of a log: frames, charts and files.  Nothing here runs anything."""
