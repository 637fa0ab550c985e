"""Measures what a GPU, a host and a runtime charge, fits it, and holds predictions against real runs."""
