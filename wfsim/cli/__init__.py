"""The command ``wfsim``: a module for each of its larger subcommands."""
