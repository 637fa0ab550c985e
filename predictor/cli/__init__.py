"""The command ``predict``."""
