"""What a capture refuses by name: tensors and operators for which no GPU kernel is modelled, and which priced as dense
ones would be wrong without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

SPARSE = (
    "sparse tensors ({layout}) are not modelled: make them dense (.to_dense()), or add up what they connect by index "
    "(index_add)"
)
QUANTISED = (
    "quantised tensors of torch.ao ({name}) run on CPUs alone and nothing is calibrated for them: predict the module "
    "as it was before quantize_dynamic or convert"
)
NESTED = "nested tensors of the strided layout are not modelled: make them with layout=torch.jagged, or pad"
NESTED_ATTENTION = "attention of nested tensors is not modelled: pad them (to_padded_tensor) and attend with a mask"
FOR_CPUS = "tensors in the layout of oneDNN run on CPUs alone: predict the module as it was before to_mkldnn"

_SPARSE_LAYOUTS = {
    torch.sparse_coo: "COO",
    torch.sparse_csr: "CSR",
    torch.sparse_csc: "CSC",
    torch.sparse_bsr: "BSR",
    torch.sparse_bsc: "BSC",
}


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor is an array of numbers with strides."""
    return tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_nested


def reason_of(tensor: torch.Tensor) -> str:
    """Why a tensor that is not plain is refused."""
    if tensor.layout in _SPARSE_LAYOUTS:
        return SPARSE.format(layout=_SPARSE_LAYOUTS[tensor.layout])
    if tensor.is_quantized:
        return QUANTISED.format(name=str(tensor.dtype).removeprefix("torch."))
    return NESTED if tensor.is_nested else FOR_CPUS


def refused(func: Any, tensors: Sequence[torch.Tensor]) -> str:
    """Why a call of an operator is not modelled; empty where nothing speaks against it."""
    odd = next((tensor for tensor in tensors if not is_plain(tensor)), None)
    if odd is not None:
        return reason_of(odd)
    name = func._schema.name.removeprefix("aten::")
    return QUANTISED.format(name=name) if name.startswith("quantized::") or name in _OF_PACKED_WEIGHTS else ""


_OF_PACKED_WEIGHTS = frozenset(
    f"quantized_{layer}" for layer in ("lstm", "gru", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
)
