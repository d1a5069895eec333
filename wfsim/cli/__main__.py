"""``python -m wfsim.cli`` is the command ``wfsim``."""

from wfsim.cli.main import main

main()
