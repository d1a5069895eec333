"""A cursor over a log, and the widgets that show it."""
