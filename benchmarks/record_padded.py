"""Capture what Figure 5 and Table 3 of The Framework Tax need and the zoo's graphs do not have: texts that are padded,
at every batch size (their lengths are no function of it), and torch's fast path. Writes
``calibrate/validate/paper/graphs``, so that ``validate paper`` captures nothing:

    python -m benchmarks.record_padded
"""

from __future__ import annotations

from calibrate.validate.paper.description import POWERS
from calibrate.validate.paper.figures.figure05 import KINDS, MODELS
from calibrate.validate.paper.predictions import graph_file
from predictor.graph.files import GraphSet
from predictor.plans import Plan
from predictor.records import CaptureOptions
from predictor.sources import plan_of

DTYPE = "fp16"


def main() -> None:
    """Write a file for each model, with and without padding."""
    for model in MODELS:
        for lengths, runtimes, batches in (("ptb", tuple(KINDS), POWERS), ("", ("bettertransformer",), (1,))):
            whole = plan_of(model, options=CaptureOptions(lengths=lengths))
            plan = Plan(GraphSet(whole.name, whole.batch, whole.length, notes=whole.notes), whole.source)
            for runtime in runtimes:
                for batch in batches:
                    plan.graph(DTYPE, runtime, batch)
            path = graph_file(model, lengths)
            path.parent.mkdir(exist_ok=True)
            plan.save(path)
            print(path.name, f"{path.stat().st_size / 1024:.0f} KiB", flush=True)


if __name__ == "__main__":
    main()
