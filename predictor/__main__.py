"""``python -m predictor``: the command ``predict``."""

from predictor.cli.main import main

if __name__ == "__main__":
    main()
