"""Kernel families: dimensions, work, features."""
