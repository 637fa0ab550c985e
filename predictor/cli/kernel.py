"""The command ``predict kernel``."""

from __future__ import annotations

from typing import Annotated

import typer

from predictor.cli.names import complete_gpu, complete_kernel
from predictor.cli.terminal import complain


def kernel(
    family: Annotated[
        str,
        typer.Argument(
            help="Kernel family, for example gemm or attention: predict list kernels.", autocompletion=complete_kernel
        ),
    ],
    dims: Annotated[list[str], typer.Argument(help="Its dimensions, for example m=4096 n=4096 k=4096.")],
    gpu: Annotated[
        str, typer.Option(metavar="NAME", help="Calibrated GPU: predict list gpus.", autocompletion=complete_gpu)
    ],
    dtype: Annotated[str, typer.Option(metavar="fp32|tf32|fp16|bf16", help="Of its tensors.")] = "fp16",
    context: Annotated[
        str,
        typer.Option(
            metavar="replay|model",
            help="replay: the kernel alone, repeated, caches warm; model: among other kernels, weights cold.",
        ),
    ] = "replay",
    monotone: Annotated[
        bool, typer.Option("--monotone", help="At least the time of every kernel that is smaller by powers of four.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in seconds.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Predict the time of one kernel.

    Example: predict kernel gemm --gpu a100 --dtype bf16 m=4096 n=4096 k=4096
    """
    with complain(debug, as_json):
        typer.echo(_kernel(family, dims, gpu, dtype, context, monotone, as_json))


def _kernel(family: str, dims: list[str], gpu: str, dtype: str, context: str, monotone: bool, as_json: bool) -> str:
    import json
    import math
    from textwrap import fill

    import numpy as np

    from predictor.calibration.load import load_calibration
    from predictor.errors import PredictorError, unknown
    from predictor.kernels.families import FAMILIES
    from predictor.pricing.intervals import EXTRAPOLATION_ERROR, interval
    from predictor.pricing.kernels import kernel_fit, kernel_seconds, price_kernels, roofline_s
    from predictor.report.text import WIDTH

    calibration = load_calibration(gpu)
    if family not in FAMILIES:
        raise unknown("kernel family", family, sorted(FAMILIES))
    if dtype not in calibration.dtypes:
        raise calibration.unknown_dtype(dtype)
    try:
        pairs = [(name, float(value)) for name, value in (part.split("=") for part in dims)]
    except ValueError:
        raise PredictorError(f"dimensions are NAME=NUMBER, not {' '.join(dims)!r}") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise PredictorError(f"a dimension is said twice: {' '.join(dims)}")
    if not all(0 <= value < math.inf for value in values.values()):
        raise PredictorError(f"dimensions are numbers from 0 on, not {' '.join(dims)!r}")
    row = FAMILIES[family]
    try:
        row.complete(values)
    except KeyError as error:
        raise PredictorError(str(error.args[0])) from None
    seconds = kernel_seconds(calibration, family, dtype, context=context, monotone=monotone, **values)
    fit = kernel_fit(calibration, family, dtype, context)
    arrays = row.complete(values)
    compute, memory = roofline_s(calibration, row, dtype, arrays)
    far = bool(price_kernels(calibration, family, dtype, values, context).extrapolated[0])
    low, high = interval(seconds, math.hypot(fit.error, EXTRAPOLATION_ERROR if far else 0.0))
    result = {
        **{"family": family, "gpu": calibration.gpu, "dtype": dtype, "context": context},
        **{"seconds": seconds, "interval_s": [low, high], "bound": "compute" if compute > memory else "memory"},
        "flops": float(row.flops(arrays)),
        "roofline_s": float(np.maximum(compute, memory)),
        **{"provenance": fit.provenance, "extrapolated": far},
    }
    if as_json:
        return json.dumps(result)
    rate, share = result["flops"] / seconds * 1e-12, result["roofline_s"] / seconds
    title = f"{family} {' '.join(dims)}, {dtype} on {calibration.gpu}: {seconds * 1e6:.4g} us"
    doubt = ", extrapolated beyond the calibrated range" if far else ""
    verdict = f"{result['bound']}-bound, {rate:.4g} TFLOP/s, {share:.0%} of the roofline; {fit.provenance}{doubt}"
    return f"{fill(title, WIDTH)}\n90 % interval {low * 1e6:.4g} to {high * 1e6:.4g} us\n{fill(verdict, WIDTH)}"
