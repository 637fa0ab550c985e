"""Calibrations as data: files, host costs, kernel models, datasheets."""
