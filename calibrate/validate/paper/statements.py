"""What the paper says, as functions of latencies that can be false.

A statement is judged twice, by the predictions and by what was observed, with the same criterion; where something was
observed, the predictions are judged on those very cases.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from textwrap import fill

from calibrate.validate.paper.description import POWERS, macs_of
from calibrate.validate.paper.figures.figure06 import DEPTHS, WIDTHS
from calibrate.validate.paper.figures.figure09 import GENERATIONS
from calibrate.validate.paper.figures.table3 import ROWS
from calibrate.workloads.cases import Case

Lookup = Callable[[Case, str], float | None]
"""Seconds of a case on a GPU ("" the one that is asked for); None where they are not known."""

FLAT = 1.25
"""Latency over the least one up to which it counts as flat, in the batch and in the width."""

PROPORTIONAL = 1.5
"""Growth for twice the batch from which kernels are saturated."""

DEEPER = 1.5
"""Growth for twice the layers."""

ALIKE = 0.25
"""How far runtimes that hardly differ may lie apart, over the slowest."""

HALF = 0.5
"""Part of a gain that the paper names which must be found."""

AS_PUBLISHED = 0.25
"""Relative distance from a latency of the paper."""

COLUMNS_OF_TERMINAL = 79

ENCODERS = (
    *("bert-base", "distilbert", "roberta", "albert"),
    *("funnel-base", "squeezebert", "mobilebert", "longformer", "deberta"),
)
"""Over which mean gains are taken, those of them that are known."""


class MissingError(Exception):
    """A latency that a statement needs is not known."""


@dataclass(frozen=True, slots=True)
class View:
    """Latencies as a statement sees them."""

    lookup: Lookup

    def seconds(self, case: Case, gpu: str = "") -> float:
        """Of a case. Raises MissingError."""
        seconds = self.lookup(case, gpu)
        if seconds is None:
            raise MissingError(f"{case}{' on ' if gpu else ''}{gpu}")
        return seconds

    def known(self, cases: Sequence[Case], gpu: str = "") -> bool:
        """Whether all are."""
        return all(self.lookup(case, gpu) is not None for case in cases)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What latencies say of a statement: the figure in words, and whether it meets the criterion."""

    value: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement. where: the paper's figure or section; paper: its figure; criterion: when it holds; gpus: those it is
    about, all if none; today: why software of today may not agree.
    """

    text: str
    where: str
    paper: str
    criterion: str
    judge: Callable[[View], Outcome]
    gpus: tuple[str, ...] = ()
    today: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A statement with its outcomes; None where latencies lack, with the first that does. observed: by what."""

    statement: Statement
    predicted: Outcome | None
    observed: Outcome | None
    source: str = ""
    lacking: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether predictions say what observations say; None where one of them is missing."""
        if self.predicted is None or self.observed is None:
            return None
        return self.predicted.holds == self.observed.holds

    @property
    def note(self) -> str:
        """Why it does not hold with the software at hand, or what lacks."""
        outcomes = [outcome for outcome in (self.predicted, self.observed) if outcome]
        told = [self.statement.today] if any(not outcome.holds for outcome in outcomes) else []
        if self.lacking:
            told.append(f"not predicted: {self.lacking}")
        return " ".join(text for text in told if text)


def judge(statement: Statement, predicted: View, observed: View, source: str) -> Judged:
    """Judge a statement by predictions and by what was observed, which source names: on the cases that both know, where
    those are enough.
    """
    both = [_outcome(statement, view) for view in (_common(predicted, observed), _common(observed, predicted))]
    if all(isinstance(outcome, str) for outcome in both):
        both = [_outcome(statement, view) for view in (predicted, observed)]
    said, seen = both
    return Judged(
        statement,
        said if isinstance(said, Outcome) else None,
        seen if isinstance(seen, Outcome) else None,
        source if isinstance(seen, Outcome) else "",
        said if isinstance(said, str) else "",
    )


def _common(view: View, other: View) -> View:
    """A view of what another knows, too."""
    return View(lambda case, gpu: view.lookup(case, gpu) if other.known([case], gpu) else None)


def _outcome(statement: Statement, view: View) -> Outcome | str:
    try:
        return statement.judge(view)
    except MissingError as error:
        return str(error)


def _bert(batch: int = 1, runtime: str = "eager", dtype: str = "fp16", model: str = "bert-base") -> Case:
    return Case(model, batch, dtype, runtime)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}"


def _flat(view: View) -> Outcome:
    known = [batch for batch in POWERS if view.known([_bert(batch)])]
    if len(known) < 4 or known[0] != 1:
        raise MissingError(str(_bert(known[0] if known else 1)))
    seconds = [view.seconds(_bert(batch)) for batch in known]
    flat = max(b for b, s in zip(known, seconds, strict=True) if s <= FLAT * seconds[0])
    growth = (seconds[-1] / seconds[-2]) ** (log(2) / log(known[-1] / known[-2]))
    value = f"flat to batch {flat} ({_ms(seconds[0])} ms), x{growth:.2f} for twice the batch at {known[-1]}"
    return Outcome(value, flat >= 2 and growth >= PROPORTIONAL)


def _deeper(view: View) -> Outcome:
    seconds = [view.seconds(_bert(model=model)) for model in DEPTHS.values()]
    growth = [after / before for before, after in pairwise(seconds)]
    value = f"{', '.join(map(_ms, seconds))} ms with {', '.join(map(str, DEPTHS))} layers"
    return Outcome(value, min(growth) >= DEEPER)


def _wider(view: View) -> Outcome:
    seconds = [view.seconds(_bert(model=model)) for model in WIDTHS.values()]
    value = f"{', '.join(map(_ms, seconds))} ms with hidden {', '.join(map(str, WIDTHS))}"
    return Outcome(value, max(seconds) <= FLAT * min(seconds))


def _funnel(view: View) -> Outcome:
    cases = _bert(), _bert(model="funnel-base")
    bert, funnel = (view.seconds(case) for case in cases)
    fewer = 1 - macs_of(cases[1]) / macs_of(cases[0])
    return Outcome(f"{fewer:.0%} fewer, x{funnel / bert:.2f} the latency", fewer > 0.2 and funnel > bert)


def _crossing(model: str, dtype: str = "fp32") -> Callable[[View], Outcome]:
    def judge_crossing(view: View) -> Outcome:
        ratios = [
            view.seconds(_bert(batch, dtype=dtype, model=model)) / view.seconds(_bert(batch, dtype=dtype))
            for batch in (1, 128)
        ]
        value = f"x{ratios[0]:.2f} BERT's latency at batch 1, x{ratios[1]:.2f} at 128"
        return Outcome(value, ratios[0] > 1 > ratios[1])

    return judge_crossing


def _gain(runtime: str, percent: float) -> Callable[[View], Outcome]:
    def judge_gain(view: View) -> Outcome:
        pairs = [(_bert(model=m), _bert(model=m, runtime=runtime)) for m in ENCODERS]
        known = [pair for pair in pairs if view.known(pair)]
        if not known:
            raise MissingError(str(pairs[0][1]))
        mean = 100 * sum(1 - view.seconds(fast) / view.seconds(slow) for slow, fast in known) / len(known)
        number = f"{len(known)} model{'s' if len(known) > 1 else ''}"
        return Outcome(f"{mean:.1f} % less, {number}", mean >= HALF * percent)

    return judge_gain


def _order(view: View) -> Outcome:
    runtimes = [r for r in ROWS if view.known([_bert(runtime=r)])]
    if len(runtimes) < 3:
        raise MissingError(str(_bert(runtime=next(r for r in ROWS if r not in runtimes))))
    seconds = [view.seconds(_bert(runtime=r)) for r in runtimes]
    value = ", ".join(f"{ROWS[r][0]} {_ms(s)}" for r, s in zip(runtimes, seconds, strict=True)) + " ms"
    slow = [s for r, s in zip(runtimes, seconds, strict=True) if r in ("eager", "torchscript")]
    fast = [s for r, s in zip(runtimes, seconds, strict=True) if r not in ("eager", "torchscript")]
    return Outcome(value, slow == sorted(slow, reverse=True) and len(slow) == 2 and max(fast) < min(slow))


def _row(runtime: str, seconds: float) -> Callable[[View], Outcome]:
    def judge_row(view: View) -> Outcome:
        found = view.seconds(_bert(runtime=runtime))
        return Outcome(f"{_ms(found)} ms", abs(found / seconds - 1) <= AS_PUBLISHED)

    return judge_row


def _fnet(view: View) -> Outcome:
    fnet, bert = view.seconds(_bert(dtype="fp32", model="fnet")), view.seconds(_bert(dtype="fp32", runtime="onnx"))
    return Outcome(f"FNet {_ms(fnet)} ms, BERT {_ms(bert)} ms", fnet < bert)


def _sparse(view: View) -> Outcome:
    sparse, graphs = (Case("bert-base", 128, "fp16", r, lengths="ptb") for r in ("bettertransformer", "cudagraph"))
    less = 1 - view.seconds(sparse) / view.seconds(graphs)
    return Outcome(f"{less:.0%} less", less >= HALF * 0.8056)


def _newer(view: View) -> Outcome:
    a100, v100 = view.seconds(_bert(), "a100"), view.seconds(_bert(), "v100")
    return Outcome(f"A100 {_ms(a100)} ms, V100 {_ms(v100)} ms", a100 > v100)


def _meet(view: View) -> Outcome:
    apart = []
    for batch in (1, 32):
        seconds = [view.seconds(_bert(batch, runtime=r)) for r in ("eager", "torchscript", "onnx")]
        apart.append(1 - min(seconds) / max(seconds))
    value = f"{apart[0]:.0%} apart at batch 1, {apart[1]:.0%} at 32"
    return Outcome(value, apart[1] <= ALIKE and apart[1] < apart[0])


def _knee(view: View, gpu: str) -> float | None:
    """The batch at which a pass takes twice as long as at batch 1, between sizes by powers; None where unknown."""
    known = [(b, s) for b in POWERS if (s := view.lookup(_bert(b), gpu)) is not None]
    if not known or known[0][0] != 1:
        return None
    twice = 2 * known[0][1]
    for (before, low), (after, high) in pairwise(known):
        if high >= twice:
            return float(before * (after / before) ** (log(twice / low) / log(high / low)))
    return None


def _generations(view: View) -> Outcome:
    means = []
    for generation, gpus in GENERATIONS.items():
        knees = [knee for gpu in gpus if (knee := _knee(view, gpu)) is not None]
        if not knees:
            raise MissingError(f"{_bert()} on {generation}")
        means.append(exp(sum(map(log, knees)) / len(knees)))
    value = ", ".join(f"{name} {mean:.0f}" for name, mean in zip(GENERATIONS, means, strict=True))
    return Outcome(f"twice the latency at batch: {value}", means == sorted(set(means)))


_READING = "The authors' published table has no row of this latency: which configuration it is, is our reading."

TABLE_NOTES = {
    "bettertransformer": _READING,
    "cudagraph": _READING,
    "onnx": "The ONNX Runtime hosts of this calibration are fitted to vision models alone.",
}
"""Runtime -> why a row of Table 3 may not hold."""

SQUEEZED = "Its grouped convolutions do less work than dense products and reach less of the peak."

STATEMENTS = (
    Statement(
        "Latency is flat until the kernels saturate the GPU",
        *("Figures 3, 4", "flat at small batches, then proportional"),
        f"BERT-Base, PyTorch, fp16: within {FLAT - 1:.0%} of batch 1 at batch 2 or beyond; at last x{PROPORTIONAL} "
        "or more for twice the batch",
        _flat,
    ),
    Statement(
        "Deeper models are slower at batch 1",
        *("Figure 6", "latency grows with the layers"),
        f"x{DEEPER} or more for twice the layers, 3 to 24",
        _deeper,
    ),
    Statement(
        "Wider models are not slower at batch 1",
        *("Figure 6, Table 1", "13.4 to 13.6 ms in four settings"),
        f"slowest of four widths, 384 to 3072, within {FLAT - 1:.0%} of the fastest (fp16)",
        _wider,
    ),
    Statement(
        "Funnel has fewer multiply-accumulates than BERT and is slower",
        *("Figure 7", "42 % fewer"),
        "at least 20 % fewer, and slower at batch 1 (PyTorch, fp16)",
        _funnel,
    ),
    *(
        Statement(
            f"{name} is slower than BERT at a small batch and faster at a large one",
            *("Figure 8", "slower at batch 1"),
            "slower at batch 1, faster at 128 (PyTorch, fp32)",
            _crossing(model),
            today=today,
        )
        for name, model, today in (("MobileBERT", "mobilebert", ""), ("SqueezeBERT", "squeezebert", SQUEEZED))
    ),
    Statement(
        "TorchScript is faster than PyTorch at batch 1",
        *("Section 4, Figure 4", "34.16 % (fp16, mean)"),
        "mean over encoders at least half of that",
        _gain("torchscript", 34.16),
    ),
    Statement(
        "ONNX Runtime is faster than PyTorch at batch 1",
        *("Section 4, Figure 4", "71.38 % (fp16, mean)"),
        "mean over encoders at least half of that",
        _gain("onnx", 71.38),
        today="Eager PyTorch calls fused attention today: a third of the calls that ONNX Runtime saved are gone.",
    ),
    Statement(
        "Runtimes are ordered: PyTorch, TorchScript, then all others",
        *("Table 3", "10.54, 6.14, 2.82, 2.56, 2.11 ms"),
        "PyTorch slowest, TorchScript next (BERT-Base, batch 1, fp16)",
        _order,
        today="TorchScript of today calls fused attention, and is as fast as torch's fast path.",
    ),
    *(
        Statement(
            f"BERT-Base at batch 1 in {name}",
            *("Table 3", f"{seconds * 1e3:.2f} ms"),
            f"within {AS_PUBLISHED:.0%}",
            _row(runtime, seconds),
            gpus=("rtx8000",),
            today=TABLE_NOTES.get(runtime, ""),
        )
        for runtime, (name, seconds) in ROWS.items()
    ),
    Statement(
        "FNet in PyTorch is faster than BERT in ONNX Runtime at batch 1",
        *("Section 5", "10.31 % faster"),
        "faster (fp32: cuFFT has no fp16 transform of its size)",
        _fnet,
        today="The eager host still pays for every operator of FNet; ONNX Runtime dispatches all of BERT in less.",
    ),
    Statement(
        "Inputs without padding are faster than CUDA graphs at a large batch",
        *("Figure 5", "80.56 % less at batch 128"),
        "at least half of that (BERT-Base, Penn Treebank lengths, fp16)",
        _sparse,
        today="On a faster GPU the fast path is bound by the host even at batch 128, where CUDA graphs are not.",
    ),
    Statement(
        "The A100 is slower than the V100 at batch 1",
        *("Figure 9", "slower"),
        "slower (BERT-Base, PyTorch, fp16), each with a typical host of its own",
        _newer,
    ),
    Statement(
        "Runtimes hardly differ beyond batch 16",
        *("Figure 4", "minimal difference"),
        f"within {ALIKE:.0%} at batch 32 and less than at batch 1 (BERT-Base, fp16, three runtimes)",
        _meet,
        today="A faster GPU is still bound by the host at batch 32, and only eager PyTorch has fused attention.",
    ),
    Statement(
        "Models are framework-bound up to larger batches with each generation of GPUs",
        *("Figure 9", "grows"),
        "the batch of twice the latency of batch 1 grows (BERT-Base, PyTorch, fp16, mean of a generation)",
        _generations,
    ),
)

COLUMNS = (
    *("statement", "where", "paper", "criterion", "predicted", "predicted_holds"),
    *("observed", "observed_holds", "observed_by", "agrees", "note"),
)


def of_gpu(gpu: str) -> list[Statement]:
    """Statements that are about a GPU."""
    return [s for s in STATEMENTS if not s.gpus or gpu in s.gpus]


def row(judged: Judged) -> dict[str, str]:
    """As text, by ``COLUMNS``."""
    statement = judged.statement
    return {
        **{"statement": statement.text, "where": statement.where, "paper": statement.paper},
        **{"criterion": statement.criterion, "note": judged.note, "observed_by": judged.source},
        **{"predicted": _value(judged.predicted), "predicted_holds": _holds(judged.predicted)},
        **{"observed": _value(judged.observed), "observed_holds": _holds(judged.observed)},
        "agrees": "" if judged.agrees is None else "yes" if judged.agrees else "no",
    }


def _value(outcome: Outcome | None) -> str:
    return outcome.value if outcome else ""


def _holds(outcome: Outcome | None) -> str:
    return "" if outcome is None else "yes" if outcome.holds else "no"


def table(judged: Sequence[Judged]) -> str:
    """As CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row(j) for j in judged)
    return text.getvalue()


def listing(judged: Sequence[Judged]) -> str:
    """For a terminal: a few lines for each, and how many hold."""
    lines = []
    for number, one in enumerate(judged, 1):
        fields = row(one)
        lines.append(f"{number:2}. {fields['statement']} ({fields['where']})")
        lines.append(f"    paper: {fields['paper']}")
        for name, value, holds in (
            ("predicted", fields["predicted"], fields["predicted_holds"]),
            (fields["observed_by"] or "observed", fields["observed"], fields["observed_holds"]),
        ):
            lines.append(f"    {name}: {value + ': ' if value else ''}{VERDICTS[holds]}")
        if fields["note"]:
            lines.append(f"    {fields['note']}")
    lines = [fill(line, COLUMNS_OF_TERMINAL, subsequent_indent=" " * 6) for line in lines]
    both = [one for one in judged if one.agrees is not None]
    held = [one for one in both if one.observed and one.observed.holds]
    kept = [one for one in held if one.predicted and one.predicted.holds]
    predicted = [one.predicted.holds for one in judged if one.predicted]
    summary = (
        f"{len(both)} of {len(judged)} statements were observed; {len(held)} hold there, "
        f"of which {len(kept)} hold in the predictions."
        if both
        else f"None of {len(judged)} statements was observed; {sum(predicted)} hold in the predictions."
    )
    return "\n".join([*lines, fill(summary, COLUMNS_OF_TERMINAL)])


VERDICTS = {"yes": "holds", "no": "does not hold", "": "not known"}
