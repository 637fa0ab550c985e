"""The commands ``calibrate`` and ``validate``."""
