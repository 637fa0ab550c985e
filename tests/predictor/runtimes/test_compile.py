"""What torch.compile makes of models, held against what was recorded on an H200 and an H100 (torch 2.11)."""

from __future__ import annotations

import pytest

from calibrate.measure.programs import record
from calibrate.samples.programs import restored
from calibrate.samples.records import CaseProfile
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from predictor.predict import plan
from predictor.pricing.program import price
from predictor.records import NEXT_GRAPH, Program, Target
from tests.predictor.capture.test_compiled_frames import MODELS, X


def program_of(model: str, runtime: str, batch: int = 1) -> Program:
    case = Case(f"benchmarks/battery/{model}", batch, "fp16", runtime)
    found = record(case, "cuda", Target("2.11.0")).program
    assert found is not None
    return restored(found)


def profiled(file: str, model: str, runtime: str, batch: int = 1) -> CaseProfile:
    case = Case(f"benchmarks/battery/{model}", batch, "fp16", runtime)
    (profile,) = [one for one in SampleFile(SHIPPED / file).of(CaseProfile) if one.case == case]
    return profile


GRAPHS = {
    "library.py:deberta": 83,
    "library.py:bart": 8,
    "library.py:longformer": 4,
    "sequences.py:torch_translator": 2,
    "sequences.py:deep_gru": 0,
    "sequences.py:experts_by_index": 0,
    "library.py:roberta": 1,
}
"""Graphs that a pass ran on an H100, counted by a backend."""


@pytest.mark.parametrize(("model", "graphs"), GRAPHS.items())
def test_a_pass_runs_the_graphs_that_were_counted(model: str, graphs: int) -> None:
    calls = program_of(model, "compile").calls
    first = any(not call.uncompiled and call.op != NEXT_GRAPH for call in calls)
    assert first + sum(call.op == NEXT_GRAPH for call in calls) == graphs


@pytest.mark.parametrize("model", ["torch_translator", "attentive_translator", "deep_gru"])
def test_what_is_not_compiled_has_the_kernels_of_a_profile(model: str) -> None:
    profile = profiled("h200/battery/learn-continued.jsonl.gz", f"sequences.py:{model}", "compile")
    measured = sum(profile.names[index].startswith("triton") for index, _ in profile.order)
    calls = program_of(f"sequences.py:{model}", "compile").calls
    assert sum(call.op == "triton" for call in calls) == measured


@pytest.mark.parametrize("runtime", ["compile", "compile-cudagraph"])
def test_what_is_left_to_eager_mode_costs_what_it_costs_there(runtime: str) -> None:
    """A model of one recurrent layer took 12.0 ms compiled and 12.3 as graphs, 11.9 to 14.4 in eager mode (H200)."""
    calibration = load_calibration("h200")
    compiled, eager = (
        price(program_of("sequences.py:deep_gru", name), calibration, calibration.host(name)).host_s.sum()
        for name in (runtime, "eager")
    )
    assert compiled == pytest.approx(eager, rel=1e-6)


def test_a_report_says_where_a_graph_breaks() -> None:
    module = MODELS["in a loop"]().eval()
    (said,) = [n for n in plan(module, X).report("h200", runtime="compile").notes if n.startswith("torch.compile")]
    assert "test_compiled_frames.py:" in said
    assert said.endswith("(2 times): 5 graphs, 5 operators in eager mode")
    whole = plan(MODELS["one graph"]().eval(), X).report("h200", runtime="compile")
    assert not any("breaks the graph" in note for note in whole.notes)


LOOPS = {
    "sequences.py:gated_mlp": "rows that are a slice's are not strided",
    "generative.py:diffusion_transformer": "a loop writes in order what eager mode keeps strided",
    "library.py:fnet": "as many strided reads as others: strided",
    "generative.py:latent_diffusion": "group norms channels-last, and slices of a product whose bias a loop adds",
}


@pytest.mark.parametrize("model", LOOPS)
def test_loops_are_as_many_as_in_a_profile(model: str) -> None:
    """The H200's: 31, 45, 42 and 225, of which 51, 91, 27 and 125 were predicted before ``LOOPS`` was known."""
    files = ("learn", "learn-continued", "learn-again")
    case = Case(f"benchmarks/battery/{model}", 1, "fp16", "compile")
    found = (SampleFile(SHIPPED / f"h200/battery/{file}.jsonl.gz").find(CaseProfile, case) for file in files)
    profile = next(one for one in found if one is not None)
    measured = sum(profile.names[index].startswith("triton") for index, _ in profile.order)
    predicted = sum(call.op == "triton" for call in program_of(model, "compile").calls)
    assert predicted == pytest.approx(measured, rel=0.12)


SAME_LOOPS = {
    ("h100/battery/held_out.jsonl.gz", "convolutional.py:resnet18_channels_last"): "weights that lie so already",
    ("h100/battery/held_out.jsonl.gz", "library.py:megatron_bert"): "attention that is written out, with a mask",
    ("h100/battery/held_out.jsonl.gz", "library.py:olmo2"): "masks of several layers in one loop",
    ("h100/battery/held_out.jsonl.gz", "library.py:phi"): "partly turned heads, whose halves are written one by one",
    ("h100/battery/held_out.jsonl.gz", "sequences.py:mixer_b32"): "strided rows, of sums that lie as what they are of",
    ("h100/battery/fresh.jsonl.gz", "fresh.py:volume_unet"): "statistics of each image's channels",
    ("h100/battery/fresh.jsonl.gz", "fresh.py:crnn"): "what stands before a recurrent layer is compiled",
    ("h200/battery/strangers.jsonl.gz", "strangers_library.py:smollm3"): "a cache that begins empty",
    ("h200/battery/learn.jsonl.gz", "small.py:graph_convolutions"): "sums that are put into place",
    ("h200/battery/learn.jsonl.gz", "sequences.py:lstm_cells"): "gates that are not computed again for ever",
}
"""File and model -> what is compiled otherwise than a loop at a time."""


@pytest.mark.parametrize(("file", "model"), SAME_LOOPS)
def test_loops_are_those_of_a_profile(file: str, model: str) -> None:
    profile = profiled(file, model, "compile")
    measured = sum(profile.names[index].startswith("triton") for index, _ in profile.order)
    assert sum(call.op == "triton" for call in program_of(model, "compile").calls) == measured


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("h200/battery/strangers.jsonl.gz", "strangers_library.py:nomic_bert"),
        ("h100/battery/fresh.jsonl.gz", "fresh_library.py:canine"),
    ],
)
def test_loops_that_share_little_are_as_many_as_in_a_profile(file: str, model: str) -> None:
    """Queries and keys share less of a batch of 16 than it would cost to hold both."""
    profile = profiled(file, model, "compile", 16)
    measured = sum(profile.names[index].startswith("triton") for index, _ in profile.order)
    assert sum(call.op == "triton" for call in program_of(model, "compile", 16).calls) == measured


def test_attention_in_single_precision_between_casts_is_fused_as_in_a_profile() -> None:
    profile = profiled("h200/battery/strangers.jsonl.gz", "strangers.py:own_llama", "compile")
    measured = sum(profile.names[index].startswith("cudnn_generated_fort_native_sdpa") for index, _ in profile.order)
    kernels = [kernel for call in program_of("strangers.py:own_llama", "compile").calls for kernel in call.kernels]
    assert sum(kernel.family == "attention" for kernel in kernels) == measured > 0


def test_what_is_put_into_places_by_a_library_has_the_kernels_of_a_profile() -> None:
    profile = profiled("h200/battery/strangers.jsonl.gz", "strangers_library.py:tapas", "compile")
    measured = sum(profile.names[index].startswith("_scatter_gather") for index, _ in profile.order)
    kernels = [kernel for call in program_of("strangers_library.py:tapas", "compile").calls for kernel in call.kernels]
    assert sum(bool(k.dims.get("written")) or k.family == "exchange" for k in kernels) == measured


def test_the_groups_of_experts_are_multiplied_one_by_one_outside_of_the_compiler() -> None:
    """Each of 16 operators fetches where its groups end; there are eight, some of which got no token."""
    profile = profiled("h200/battery/strangers.jsonl.gz", "strangers_library.py:gpt_oss", "compile")
    fetches = sum("Memcpy DtoH" in profile.names[index] for index, _ in profile.order)
    calls = [call for call in program_of("strangers_library.py:gpt_oss", "compile").calls if "::" in call.op]
    assert [call.op for call in calls] == ["transformers::grouped_mm_fallback"] * fetches
    assert [[kernel.family for kernel in call.kernels] for call in calls] == [["fill", *["gemm"] * 8]] * fetches


PUT = {
    ("newcomers.jsonl.gz", "newcomers.py:bond_messages", 1): "rows of an even width are added two at a time",
    ("newcomers.jsonl.gz", "newcomers.py:bond_messages", 16): "what is filled reads nothing of what it is shaped like",
}
"""File, model and batch size -> what is put into places."""


@pytest.mark.parametrize(("file", "model", "batch"), PUT)
def test_what_a_loop_adds_to_places_takes_as_long_as_in_a_profile(file: str, model: str, batch: int) -> None:
    """86 and 16 us of 12,288 and 768 single elements of half precision, 1 before they contended for their words."""
    profile = profiled(f"h200/battery/{file}", model, "compile", batch)
    alone = [ns for index, ns in profile.order if "ones_like_scatter_add_12" in profile.names[index]]
    calibration, program = load_calibration("h200"), program_of(model, "compile", batch)
    costs = [
        cost.seconds
        for call, priced in zip(
            program.calls, price(program, calibration, calibration.host("compile")).calls, strict=True
        )
        for kernel, cost in zip(call.kernels, priced.kernels, strict=True)
        if kernel.family == "triton_exchange"
    ]
    assert len(costs) == len(alone) == 1
    assert 0.5 < costs[0] / (1e-9 * alone[0]) < 2
