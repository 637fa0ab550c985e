"""``python -m predictor``: the command ``predict``."""

from predictor.cli.main import main

main()
