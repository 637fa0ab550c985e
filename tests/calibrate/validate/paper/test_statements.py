"""Statements on synthetic latencies: all hold in a world that is as the paper says, each fails in another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calibrate.validate.paper import statements
from calibrate.validate.paper.statements import STATEMENTS, MissingError, Statement, View, judge
from calibrate.workloads.cases import Case

HOST_MS = {"eager": 10.54, "torchscript": 6.14, "bettertransformer": 2.82, "cudagraph": 2.56, "onnx": 2.11}
HOST_FACTOR = {
    **{"bert-base-d3": 0.25, "bert-base-d6": 0.5, "bert-base-d24": 2.0},
    **{"funnel-base": 2.5, "mobilebert": 4.0, "squeezebert": 2.0, "fnet": 0.19},
}
KERNEL_FACTOR = {"mobilebert": 0.4, "squeezebert": 0.8}
GPU_KERNEL_FACTOR = {"1080ti": 4.0, "titanx": 4.0, "3090": 0.5, "a6000": 0.5, "a100": 0.5}

Change = Callable[[Case, str], float]


def world(case: Case, gpu: str) -> float | None:
    """Seconds as the paper has them: a host that does not know the batch, kernels in proportion to it."""
    host = HOST_MS[case.runtime] * HOST_FACTOR.get(case.model, 1) * (1.2 if gpu == "a100" else 1)
    kernels = 0.5 * case.batch * KERNEL_FACTOR.get(case.model, 1) * GPU_KERNEL_FACTOR.get(gpu, 1)
    if case.runtime == "bettertransformer" and case.lengths:
        kernels *= 0.15
    return max(host, kernels) * 1e-3


def judged(statement: Statement, change: Change = lambda case, gpu: 1.0) -> bool:
    def changed(case: Case, gpu: str) -> float | None:
        seconds = world(case, gpu)
        return seconds and seconds * change(case, gpu)

    return statement.judge(View(changed)).holds


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.text)
def test_every_statement_holds_where_latencies_are_as_the_paper_says(statement: Statement) -> None:
    assert judged(statement)


FALSE: dict[str, Change] = {
    "Latency is flat": lambda case, _: case.batch**0.5,
    "Deeper": lambda case, _: 4.0 if case.model == "bert-base-d3" else 1.0,
    "Wider": lambda case, _: 1.3 if case.model == "bert-base-w3072" else 1.0,
    "Funnel": lambda case, _: 0.3 if case.model == "funnel-base" else 1.0,
    "MobileBERT": lambda case, _: 0.2 if case.model == "mobilebert" else 1.0,
    "SqueezeBERT": lambda case, _: 1.5 if case.model == "squeezebert" else 1.0,
    "TorchScript is faster": lambda case, _: 1.6 if case.runtime == "torchscript" else 1.0,
    "ONNX Runtime is faster": lambda case, _: 4.0 if case.runtime == "onnx" else 1.0,
    "Runtimes are ordered": lambda case, _: 3.0 if case.runtime == "onnx" else 1.0,
    "BERT-Base at batch 1": lambda case, _: 1.3,
    "FNet": lambda case, _: 1.5 if case.model == "fnet" else 1.0,
    "Inputs without": lambda case, _: 5.0 if case.runtime == "bettertransformer" else 1.0,
    "The A100": lambda _, gpu: 0.5 if gpu == "a100" else 1.0,
    "Runtimes hardly": lambda case, _: 0.5 if case.runtime == "onnx" else 1.0,
    "Models are framework-bound": lambda case, gpu: case.batch if gpu in ("a100", "3090", "a6000") else 1.0,
}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.text)
def test_every_statement_can_fail(statement: Statement) -> None:
    change = next(change for start, change in FALSE.items() if statement.text.startswith(start))
    assert not judged(statement, change)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.text)
def test_no_statement_is_judged_without_latencies(statement: Statement) -> None:
    with pytest.raises(MissingError):
        statement.judge(View(lambda case, gpu: None))


def _mean_gain() -> Statement:
    return next(s for s in STATEMENTS if s.text.startswith("TorchScript is faster"))


def test_predictions_are_judged_on_the_cases_that_were_observed() -> None:
    """DistilBERT, which nobody observed, would turn the mean."""

    def predicted(case: Case, gpu: str) -> float | None:
        seconds = world(case, gpu)
        return seconds and seconds * (9 if case.model == "distilbert" and case.runtime == "torchscript" else 1)

    def observed(case: Case, gpu: str) -> float | None:
        return world(case, gpu) if case.model == "bert-base" else None

    one = judge(_mean_gain(), View(predicted), View(observed), "measured")
    assert one.agrees
    assert one.predicted == one.observed
    assert "1 model" in one.predicted.value if one.predicted else False


def test_a_statement_that_the_predictions_contradict_is_told() -> None:
    slower = View(lambda case, gpu: (world(case, gpu) or 0) * (2 if case.runtime == "torchscript" else 1))
    one = judge(_mean_gain(), slower, View(world), "measured")
    assert one.agrees is False
    text = statements.listing([one])
    assert "does not hold" in text
    assert "1 hold there, of which 0 hold in the predictions" in text.replace("\n", " ")


def test_what_was_not_observed_says_so() -> None:
    one = judge(_mean_gain(), View(world), View(lambda case, gpu: None), "measured")
    text = statements.listing([one])
    assert "None of 1 statements was observed; 1 hold in the predictions." in text
    assert max(map(len, text.splitlines())) <= 80
    fields = statements.row(one)
    assert (fields["predicted_holds"], fields["observed"], fields["agrees"]) == ("yes", "", "")


def test_rows_of_the_table_are_for_its_gpu_alone() -> None:
    texts = {s.text for s in statements.of_gpu("h200")}
    assert not any(text.startswith("BERT-Base at batch 1") for text in texts)
    assert len(statements.of_gpu("rtx8000")) == len(texts) + 5
