"""Tables of accuracy: they fit a terminal, and say nothing of what was not measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from calibrate.validate.accuracy import Choice, Summary
from calibrate.validate.model_latencies import PassErrors
from calibrate.validate.public_latencies import PublicErrors, PublicJudgement
from calibrate.validate.runtimes import RuntimeErrors, RuntimesJudged
from calibrate.validate.tables import accuracy_text, passes_text, percent, public_text, runtimes_text
from tests.calibrate.builders import row

ROWS = [
    row("mobilenet_v2", 1e-3, 1.1e-3, "framework", "framework", "framework-bound"),
    row("mobilenet_v2", 0.2, 0.18, "framework", "device", "crossover"),
    row("bert", 4e-3, 4e-3, "memory", "device", "compute-bound"),
]


def test_a_share_of_nothing_is_no_number() -> None:
    assert (percent(float("nan")), percent(0.123), percent(0.5, 0)) == ("-", "12.3%", "50%")


def test_a_table_of_cases_fits_a_terminal_and_has_no_nan() -> None:
    for rows in (ROWS, ROWS[:1]):
        text = accuracy_text(rows)
        assert max(map(len, text.splitlines())) <= 80
        assert "nan" not in text


def test_what_bounds_a_pass_is_said_twice_where_prediction_and_profile_differ() -> None:
    bounds = [line.split()[-1] for line in accuracy_text(ROWS).splitlines()[4:7]]
    assert bounds == ["framework", "framework/device", "memory"]


def test_tables_of_runtimes_and_sessions_fit_a_terminal() -> None:
    """The longest names and widest figures there are; in Markdown nothing is left out."""
    summary = Summary(1000, 1.0, 1.0, 9.999, 1.0, 1.0)
    runtime = RuntimeErrors("compile-cudagraph", summary, 1.0, 1.0, 1.0, 1.0, 12, 12)
    choice = Choice("wide_resnet50_2", 128, "fp16", "compile-cudagraph", "onnx-cudagraph", 0.123)
    judged = RuntimesJudged((runtime, replace(runtime, runtime="bettertransformer")), (choice,))
    session = PassErrors("rtx8000-torchscript-fp16-a", 20, 160, 1.234, 0.1, -0.93, 1.0, 1.0, 2.78, 1.2)
    for text in (runtimes_text(judged, False), passes_text([session], False)):
        assert max(map(len, text.splitlines())) <= 80
    assert "Refusals that were foreseen: compile-cudagraph 12 of 12, bettertransformer 12 of 12." in " ".join(
        runtimes_text(judged, False).split()
    )
    assert "| refusals foreseen |\n" in runtimes_text(judged, True)
    assert "| max(launches, kernels) |\n" in passes_text([session], True)


def test_sources_of_public_latencies_keep_both_ends_in_a_terminal() -> None:
    source = "NVIDIA/DeepLearningExamples PyTorch/Classification/ConvNets"
    judgement = PublicJudgement((PublicErrors(source, 1, 0.79, 0.209, 0.209, 1.0),), Counter({"no graph " * 20: 3}))
    text = public_text(judgement, False)
    assert max(map(len, text.splitlines())) <= 80
    assert "NVIDIA/DeepLe" in text
    assert "ConvNets" in text
    assert source in public_text(judgement, True)
