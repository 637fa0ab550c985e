"""Modules that compiled code looks at one by one, as predicted and as Dynamo's own guards count them:

    python -m benchmarks.checked_modules --split strangers --limit 60

Each model of a set of the battery is traced by the installed torch on the meta device, with nothing compiled. Models
whose graph breaks are left out. Whole modules are compared as torch up to 2.11 does, whatever the installed one does.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch._dynamo import config, guards

from benchmarks.battery import families
from benchmarks.renewed_programs import out_of_time
from calibrate.workloads.sources import build
from predictor.capture.compiled_checks import checked_modules
from predictor.graph.inputs import call_arguments


def looked_at(node: Any, is_within: bool = False) -> int:
    """Guards of modules below a guard that are walked through, or that stand for all below them."""
    if node is None:
        return 0
    kind = node.get_type_of_guarded_value()
    is_module = isinstance(kind, type) and issubclass(kind, torch.nn.Module)
    if is_module and node.is_tag_safe_root():
        return 1
    count = int(is_module and not node.is_tag_safe())
    below = list(node.get_child_managers())
    if isinstance(node, guards.DictGuardManager):
        below += [manager for pair in node.get_key_value_managers().values() for manager in pair]
    return count + sum(map(looked_at, below))


def counted(module: torch.nn.Module, inputs: Any) -> int | None:
    """What Dynamo counts of a module, none where its graph breaks."""
    found: list[Any] = []
    finalize = guards.GuardManagerWrapper.finalize

    def remembered(manager: Any) -> None:
        found.append(manager)
        finalize(manager)

    def nothing_compiled(traced: torch.fx.GraphModule, examples: Any) -> Callable[..., Any]:
        return traced.forward

    args, kwargs = call_arguments(inputs)
    torch._dynamo.reset()
    guards.GuardManagerWrapper.finalize = remembered  # type: ignore[method-assign]
    try:
        with torch.inference_mode(), config.patch(use_recursive_dict_tags_for_guards=True):
            torch.compile(module, backend=nothing_compiled)(*args, **kwargs)
    finally:
        guards.GuardManagerWrapper.finalize = finalize  # type: ignore[method-assign]
    return looked_at(found[0].root) if len(found) == 1 else None


def main() -> None:
    """Print both counts of every model, and how far they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="strangers")
    parser.add_argument("--limit", type=int, default=60, help="seconds for one model")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, out_of_time)
    both = []
    for model in (name for block in families.blocks(options.split) for name in block):
        signal.alarm(options.limit)
        with contextlib.suppress(Exception):  # what Dynamo cannot trace without data
            module, inputs = build(families.specification(model), "meta")
            of_dynamo = counted(module, inputs)
            if of_dynamo is not None:
                both.append((checked_modules(module), of_dynamo))
                print(f"{model:40} {both[-1][0]:5} {both[-1][1]:5}", flush=True)
        signal.alarm(0)
    if not both:
        sys.exit("no model was traced in one piece")
    same = sum(ours == theirs for ours, theirs in both)
    off = sum(abs(ours - theirs) for ours, theirs in both) / sum(theirs for _, theirs in both)
    print(f"{len(both)} models: {same} the same, {off:.1%} off in sum")


if __name__ == "__main__":
    main()
