"""A program's calls and kernels -> seconds."""
