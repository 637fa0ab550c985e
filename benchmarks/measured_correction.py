"""What a few measured latencies make of a prediction for a machine that nobody here has seen.

    python -m benchmarks.measured_correction published_latency_2022.csv [--constants]

Published sessions stand for users: one latency of each of a few models is measured, all other models are predicted,
before and after. Twice: with the GPU derived from its datasheet and a typical host of another GPU (neither knows the
session's rows), and with the shipped calibration of the GPU (which is fitted to them). ``--constants`` prints instead
how far host and device are off together and model by model, from which ``predictor.pricing.correction`` has its priors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from calibrate.fit.errors import log_sd
from calibrate.samples.model_latencies import GRAPHS, Pass, read_passes
from predictor.assemble import seconds_by_group
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from predictor.graph import files
from predictor.plans import Plan, latency_s, settings
from predictor.pricing.correction import Correction, Observation, correct
from predictor.pricing.intervals import NINETY, device_errors
from predictor.timeline.queue import share_of_host

BATCHES = (1, 4, 16, 64)
DRAWS = 5
MEASURED = (1, 3, 5, 10)
HOST_BOUND, DEVICE_BOUND = 0.9, 0.1


class Setting(NamedTuple):
    """How a session's machine is priced before anything of it is known."""

    name: str
    gpu: str
    host: str


class Predicted(NamedTuple):
    """A row and its prediction, to be evaluated at factors; host_share: of its error, before; hosts_differ, alike: the
    parts of its errors that all models share.
    """

    row: Pass
    observation: Observation
    host_share: float
    hosts_differ: float
    alike: float


def settings_of(session: str, gpu: str, runtime: str) -> tuple[Setting, Setting]:
    """From a datasheet with another GPU's host, and the shipped calibration."""
    other = "2080ti" if gpu == "rtx8000" else "rtx8000"
    sheet = str(SHIPPED / gpu / "datasheet.json")
    return Setting("datasheet", sheet, other), Setting("fitted", gpu, "typical")


def predictions(rows: Iterable[Pass], setting: Setting, plans: dict[str, Plan]) -> list[Predicted]:
    """Rows of one session, priced."""
    priced_rows = []
    for row in rows:
        chosen = settings(setting.gpu, row.runtime, row.dtype, "max", setting.host)
        lowered, priced = plans[row.model].priced(chosen, row.batch)
        own, alike = device_errors(lowered.program.groups, seconds_by_group(lowered, priced), chosen.calibration)
        seconds = partial(latency_s, priced, chosen)
        host_s = float(priced.host_s.sum() + priced.tail_s + chosen.host.fixed_s)
        observation = Observation(row.model, row.model, row.runtime, row.seconds, seconds, chosen.host.model_error, own)
        share = float(share_of_host(host_s, float(priced.kernel_s.sum())))
        priced_rows.append(Predicted(row, observation, share, chosen.host.hosts_differ, alike))
    return priced_rows


def log_ratio(one: Predicted, correction: Correction | None = None) -> float:
    """Logarithm of predicted over measured."""
    host = correction.host_factor_of(one.row.runtime) if correction else 1.0
    device = correction.device_factor if correction else 1.0
    return float(np.log(one.observation.latency_s(host, device) / one.row.seconds))


def corrected(known: Sequence[Predicted]) -> Correction:
    """What measured rows say."""
    differ = max(one.hosts_differ for one in known), max(one.alike for one in known)
    return correct([one.observation for one in known], *differ)


def spread(one: Predicted, correction: Correction | None) -> float:
    """Standard deviation of the logarithm of a prediction, before or after."""
    host, device = one.host_share, 1 - one.host_share
    own = np.hypot(host * one.observation.host_error, device * one.observation.device_error)
    if correction is None:
        return float(np.hypot(own, np.hypot(host * one.hosts_differ, device * one.alike)))
    return float(np.hypot(own, correction.log_sd(one.row.runtime, host, device)))


def judge(found: Sequence[Predicted], count: int, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """(Ratio before, after, width before, after) of every row of a model that was not measured, over some draws."""
    models = sorted({one.row.model for one in found})
    judged = []
    for _ in range(DRAWS):
        chosen = rng.choice(models, min(count, len(models) // 2), replace=False).tolist()
        by_model = [[one for one in found if one.row.model == model] for model in chosen]
        known = [rows[int(rng.integers(len(rows)))] for rows in by_model]
        correction = corrected(known)
        judged += [
            (log_ratio(one), log_ratio(one, correction), spread(one, None), spread(one, correction))
            for one in found
            if one.row.model not in chosen
        ]
    return judged


def table(found: dict[tuple[str, str], list[Predicted]]) -> str:
    """How good predictions are with so many measured latencies, by setting."""
    lines = [
        "| priced from | latencies measured | MAPE before | after | median after | in 90 % interval before | after | "
        "half-width after |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for setting in ("datasheet", "fitted"):
        for count in MEASURED:
            rng = np.random.default_rng(count)
            rows = [row for (name, _), one in found.items() if name == setting for row in judge(one, count, rng)]
            before, after, wide, narrow = np.array(rows).T
            errors = [np.abs(np.expm1(ratio)) for ratio in (before, after)]
            held = [np.mean(np.abs(r) <= NINETY * w) for r, w in ((before, wide), (after, narrow))]
            width = np.median(np.expm1(NINETY * narrow))
            lines.append(
                f"| {setting} | {count} | {errors[0].mean():.1%} | {errors[1].mean():.1%} | "
                f"{np.median(errors[1]):.1%} | {held[0]:.0%} | {held[1]:.0%} | {width:.0%} |"
            )
    return "\n".join(lines)


def constants(found: dict[tuple[str, str], list[Predicted]], plans: dict[str, Plan]) -> str:
    """How far predictions are off together and model by model."""
    lines = []
    for setting in ("datasheet", "fitted"):
        for lane in ("host", "device"):
            means, within = [], []
            for (name, _), rows in found.items():
                ratios = np.array(
                    [
                        log_ratio(one)
                        for one in rows
                        if (one.host_share > HOST_BOUND if lane == "host" else one.host_share < DEVICE_BOUND)
                    ]
                )
                if name == setting and len(ratios) > 5:
                    means.append(float(np.median(ratios)))
                    within += (ratios - np.median(ratios)).tolist()
            lines.append(
                f"{setting}, {lane}: median of a session {np.mean(means):+.2f}, sd over sessions "
                f"{np.std(means, ddof=1):.2f}, within a session {log_sd(np.array(within)):.2f}"
            )
    lines.append(f"runtimes on one GPU: {_runtimes_differ():.3f}")
    lines += [f"{gpu} from {other}: {text}" for gpu, other, text in _related(plans)]
    return "\n".join(lines)


def _runtimes_differ() -> float:
    """How far the time factor of a host under one runtime is from the mean of two: sessions of one GPU and dtype."""
    apart = []
    for path in sorted(SHIPPED.glob("*/hosts.json")):
        hosts = load_calibration(path.parent.name).named_hosts
        assert hosts is not None
        pairs: dict[str, dict[str, float]] = defaultdict(dict)
        for name, host in hosts.hosts.items():
            pairs[name.split("-")[2]][host.runtime] = float(np.log(host.time_factor))
        apart += [
            pair["eager"] - pair["torchscript"] for pair in pairs.values() if {"eager", "torchscript"} <= set(pair)
        ]
    return log_sd(np.array(apart) - np.median(apart)) / np.sqrt(2)


RELATED = (("2080ti", "rtx8000"), ("rtx8000", "2080ti"), ("1080ti", "titanx"), ("a6000", "3090"), ("a100", "a6000"))


def _related(plans: dict[str, Plan]) -> Iterable[tuple[str, str, str]]:
    """Fitted GPUs, derived from another fitted one of their architecture: kernel time of passes against their own."""
    with tempfile.TemporaryDirectory() as folder:
        for gpu, other in RELATED:
            sheet = json.loads((SHIPPED / gpu / "datasheet.json").read_text(encoding="utf-8"))
            path = Path(folder) / f"{gpu}.json"
            path.write_text(json.dumps({**sheet, "digest": None, "reference_gpu": other}))
            logs = []
            for plan in plans.values():
                for dtype in ("fp16", "fp32"):
                    two = [
                        plan.priced(settings(name, "eager", dtype, "max", "v100"), 64)[1].kernel_s.sum()
                        for name in (str(path), gpu)
                    ]
                    logs.append(float(np.log(two[0] / two[1])))
            yield gpu, other, f"{np.median(logs):+.2f}, {np.std(logs):.2f} around that"


def main() -> None:
    """Print the table, or the constants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sessions", default="", help="such as contain one of these words, comma-separated")
    parser.add_argument("--constants", action="store_true")
    asked = parser.parse_args()
    words = asked.sessions.split(",")
    rows = [
        row for row in read_passes(asked.data) if row.batch in BATCHES and any(word in row.session for word in words)
    ]
    sessions: dict[str, list[Pass]] = defaultdict(list)
    for row in rows:
        sessions[row.session].append(row)
    plans = {model: Plan(files.read(GRAPHS / f"{model}.json.gz")) for model in sorted({row.model for row in rows})}
    found = {
        (setting.name, session): predictions(members, setting, plans)
        for session, members in sessions.items()
        for setting in settings_of(session, members[0].gpu, members[0].runtime)
    }
    print(constants(found, plans) if asked.constants else table(found))


if __name__ == "__main__":
    main()
