"""Calls of torch's operators and layers as models of all kinds make them, one operator or small idiom a call: what
measured kernels are compared with predicted ones on, operator by operator.

The calls are rows of the tables in ``benchmarks/operator_tables``, a file an area; a new call is a row there.
"""

from benchmarks.operator_tables import (
    elementwise,
    idioms,
    images,
    indexing,
    matrices,
    memory,
    norms,
    reductions,
    sequences,
)
from benchmarks.operator_tables.table import CALLS, Made

AREAS = (elementwise, reductions, indexing, memory, images, norms, matrices, sequences, idioms)
"""The tables; importing them fills ``CALLS``."""

__all__ = ["AREAS", "CALLS", "Made"]
