"""Host costs are stored in samples under labels ("conv2d depthwise"). What a label is of is told here alone."""

from __future__ import annotations

from predictor.records import HostRow, Variant

ROWS = {HostRow("_", variant).label[1:]: variant for variant in Variant}


def row_of_label(label: str) -> HostRow:
    """Operator and variant of a label; a label without a variant may have words of its own ("to device").

    >>> row_of_label("conv2d depthwise").variant
    <Variant.DEPTHWISE: 'depthwise'>
    >>> row_of_label("to device").op
    'to device'
    """
    for ending, variant in ROWS.items():
        if ending and label.endswith(ending):
            return HostRow(label.removesuffix(ending), variant)
    return HostRow(label)
