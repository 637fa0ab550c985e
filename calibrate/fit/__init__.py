"""Samples -> coefficients. Measures nothing."""
