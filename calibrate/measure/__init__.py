"""Timers, and everything that runs on the device."""
