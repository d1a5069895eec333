"""What a log says: frames, charts and files.  Nothing here runs anything."""
