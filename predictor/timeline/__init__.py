"""Priced calls -> the two-lane queue."""
