"""Operators that a session writes out by their definition where its provider has no kernel for them: on the CPU, where
models are optimised here, but not on the GPU. Another operator of the same shape stands for such a node meanwhile.
"""

from __future__ import annotations

from typing import Any

from predictor.capture.onnx_files.reading import graphs

WRITTEN_OUT = frozenset({"HardSwish"})
"""Functions of ONNX that the CUDA provider has a kernel for and the CPU's has none."""

STAND_IN = "Softsign"
"""Of one element after another, which no optimisation joins with its neighbours."""

MARK = " stands in for "


def stand_in(model: Any) -> None:
    """Put the stand-in in the place of nodes that would be written out, in place."""
    for graph in graphs(model):
        for node in graph.node:
            if node.op_type in WRITTEN_OUT and not node.domain:
                node.name = f"{node.name}{MARK}{node.op_type}"
                node.op_type = STAND_IN


def operator(node: Any) -> str:
    """The operator of a node, of a stand-in the one that it stands for."""
    _, mark, original = node.name.rpartition(MARK)
    return original if mark and node.op_type == STAND_IN else str(node.op_type)
