"""The command ``predict``: its output, and one clear line for every bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import models_zoo
import predictor
from predictor.calibration.files import SHIPPED
from predictor.cli.main import app
from tests.helpers import FACTS, complaint

BIN = Path(sys.executable).parent

FACTORIES = """
import torch

def layer(batch):
    return torch.nn.Linear(8, 4), torch.empty(batch, 8)

def no_argument():
    return torch.nn.Linear(8, 4), (torch.empty(3, 8),)

def by_name(batch):
    return torch.nn.Linear(8, 4).half(), {"input": torch.empty(batch, 8, device="meta")}

def distances(batch):
    class Distances(torch.nn.Module):
        def forward(self, x):
            return torch.pdist(x)
    return Distances(), torch.empty(batch, 8)

def raises():
    raise RuntimeError("out of cheese")

def raises_in_lines():
    raise RuntimeError("out of cheese\\nand of wine")

def number():
    return 5

def selects(batch):
    class Selects(torch.nn.Module):
        def forward(self, x):
            return x[x > 0.5].exp()
    return Selects(), torch.empty(batch, 100_000)

def prints(batch):
    import ctypes, os, subprocess
    class Prints(torch.nn.Linear):
        def forward(self, x):
            print("from python")
            os.write(1, b"from a descriptor\\n")
            ctypes.CDLL(None).printf(b"from C\\n")
            subprocess.run(["echo", "from a child"])
            return super().forward(x)
    return Prints(8, 4), torch.empty(batch, 8)

def triple():
    return torch.nn.Linear(8, 4), torch.empty(1, 8), "name"

def no_module():
    return "linear", torch.empty(1, 8)

def no_inputs():
    return torch.nn.Linear(8, 4), None

def text_inputs():
    return torch.nn.Linear(8, 4), "hello"

def wrong_shape(batch):
    return torch.nn.Linear(8, 4), torch.empty(batch, 7)

def looks_at_data(batch):
    class Looks(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x
    return Looks(), torch.empty(batch, 8)

not_a_function = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is not the checkout, with some models, to work in."""
    monkeypatch.chdir(tmp_path)
    Path("models.py").write_text(FACTORIES, encoding="utf-8")
    Path("broken.py").write_text("def build(:\n", encoding="utf-8")
    Path("missing_import.py").write_text("import no_such_package_at_all\n", encoding="utf-8")
    bert = {"model_type": "bert", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    configs: dict[str, Any] = {
        "bert/config.json": {**bert, "intermediate_size": 128, "vocab_size": 500},
        "vit/config.json": {"model_type": "vit", "hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4},
        "kindless/config.json": {"hidden_size": 64},
        "unknown/config.json": {"model_type": "nosuchkind"},
        "heads/config.json": {**bert, "hidden_size": 65},
        "list/config.json": [1, 2],
    }
    for name, config in configs.items():
        Path(name).parent.mkdir()
        Path(name).write_text(json.dumps(config), encoding="utf-8")
    Path("half.json").write_text('{"model_type": "be', encoding="utf-8")
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def predict(model: str = "distilbert", *arguments: str, gpu: str = "h200") -> Result:
    return invoke("--model", model, "--gpu", gpu, *arguments)


def good(result: Result) -> Any:
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


# as a program


def test_help_shows_the_options() -> None:
    found = run("predict", "--help")
    assert found.returncode == 0
    assert "--model" in found.stdout


@pytest.mark.parametrize("module", ["predictor.cli.main", "calibrate.cli.calibrate", "calibrate.cli.validate"])
def test_help_imports_no_framework(module: str) -> None:
    code = f"""
import sys
import {module} as command
try:
    command.app(["--help"])
except SystemExit:
    pass
print(sorted({{"torch", "transformers", "sklearn", "scipy", "fvcore", "onnx", "numpy"}} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_importing_the_package_and_its_names_imports_no_framework() -> None:
    code = """
import sys
import predictor
predictor.Predictor, predictor.Report, predictor.PredictorError
predictor.load_calibration("h200").kernel_seconds("gemm", "fp16", m=128, n=128, k=128)
print(sorted({"torch", "transformers", "sklearn"} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_a_prediction_from_any_directory_has_the_promised_facts_in_seconds(folder: Path) -> None:
    found = run("predict", "--model", "distilbert", "--gpu", "h200", "--json")
    assert (found.returncode, found.stderr) == (0, "")
    data = json.loads(found.stdout)
    assert set(FACTS) <= set(data)
    assert (data["model"], data["runtime"], data["gpu"], data["dtype"], data["batch"]) == (
        *("distilbert", "eager", "h200", "fp16", 1),
    )
    assert data["bound"] == "framework"
    assert 1e-3 < data["latency_s"] < 5e-3
    assert data["host_s"] <= data["latency_s"]
    assert 1e-4 < data["kernel_s"] < data["host_s"]
    assert data["interval_s"][0] < data["latency_s"] < data["interval_s"][1]
    assert data["macs"] == 5_593_202_688
    assert data["launches"] > 60
    assert data["unmodelled"] == {}
    assert data["calibration"]["provenance"] == "measured"
    assert data["calibration"]["age_days"] >= 0


def test_the_package_runs_as_a_module_and_tells_its_version() -> None:
    said = subprocess.run([sys.executable, "-m", "predictor", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"predict {predictor.__version__}\n"


def test_names_complete_in_a_shell() -> None:
    def completed(words: str, position: int) -> list[str]:
        asked = {"_PREDICT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        return run("predict", **asked).stdout.split()

    assert completed("predict li", 1) == ["list"]
    assert completed("predict resnet50 --gpu h", 3) == ["h100", "h200"]
    assert completed("predict list g", 2) == ["gpus"]


def test_a_failure_under_json_is_json_whatever_failed() -> None:
    for arguments, kind, code in (
        (("bert-bas", "--gpu", "h200", "--json"), "bad-request", 2),
        (("--frobnicate", "--format", "json"), "usage", 2),
        (("some.onnx", "--json", "--gpu", "h200"), "bad-request", 2),
    ):
        said = run("predict", *arguments)
        failure = json.loads(said.stdout)
        assert (said.returncode, said.stderr) == (code, "")
        assert (failure["kind"], failure["exit_code"]) == (kind, code)
        assert failure["error"]


def test_a_complaint_of_the_program_itself_is_one_line() -> None:
    found = run("predict", "--model", "bert-bas", "--gpu", "h200")
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr == "error: unknown model 'bert-bas': did you mean bert-base or bert-base-d6 or bert-base-d3?\n"


# what it predicts


def test_text_output_tells_a_person_what_matters() -> None:
    result = predict("distilbert", "--batch", "8", "--dtype", "fp32")
    assert result.exit_code == 0
    for words in ("distilbert, batch 8, fp32, eager on h200", "latency", "90 % interval", "host time", "kernel time"):
        assert words in result.stdout
    for words in ("launches", "GMACs", "bound", "costliest operators", "linear", "calibration  measured"):
        assert words in result.stdout


def test_a_python_file_gives_a_model() -> None:
    data = good(predict("models.py:layer", "--batch", "6", "--json"))
    assert (data["model"], data["batch"], data["macs"]) == ("models:layer", 6, 6 * 32)


def test_a_factory_may_take_no_batch_and_return_a_tuple_of_inputs() -> None:
    assert good(predict("models.py:no_argument", "--json"))["batch"] == 3
    assert good(predict("models.py:no_argument", "--batch", "3", "--json"))["batch"] == 3
    said = complaint(predict("models.py:no_argument", "--batch", "6"))
    assert "models:no_argument takes no batch size: its inputs have 3" in said


def test_a_factory_may_return_named_inputs_and_a_module_of_any_dtype_and_device(folder: Path) -> None:
    absolute = good(predict(f"{folder}/models.py:by_name", "--batch", "6", "--json"))
    assert (absolute["dtype"], absolute["dtype_origin"]) == ("fp16", "the model's own")
    other = good(predict("models.py:layer", "--batch", "6", "--dtype", "fp16", "--json"))
    assert absolute["latency_s"] == pytest.approx(other["latency_s"])


def test_a_configuration_gives_a_model() -> None:
    """Two layers of width 64 over 128 tokens: four projections, two halves of the feed-forward, attention.

    Embedding and layer norms and the pooler add a little.
    """
    data = good(predict("bert/config.json", "--batch", "3", "--json"))
    layer = 128 * (4 * 64 * 64 + 2 * 64 * 128) + 2 * 128 * 128 * 64
    assert 3 * 2 * layer < data["macs"] < 1.03 * 3 * 2 * layer
    assert (data["model"], data["batch"]) == ("bert", 3)


def test_a_configuration_of_an_image_model_gets_images() -> None:
    assert good(predict("vit/config.json", "--batch", "2", "--json"))["batch"] == 2


def test_the_plain_estimator_can_be_asked_for() -> None:
    data = good(predict("models.py:layer", "--estimator", "max", "--json"))
    assert data["latency_s"] == max(data["host_s"], data["kernel_s"])


def test_what_is_not_modelled_is_shown_and_an_error_when_strict() -> None:
    assert good(predict("models.py:distances", "--json"))["unmodelled"] == {"_pdist_forward": 1}
    assert "_pdist_forward x1" in predict("models.py:distances").stdout
    assert "not modelled: _pdist_forward" in complaint(predict("models.py:distances", "--strict"))


def test_what_extensions_and_children_print_is_not_the_answer() -> None:
    """Neither Python nor C nor another process writes into the JSON."""
    found = run("predict", "--model", "models.py:prints", "--gpu", "h200", "--json")
    assert found.returncode == 0
    assert json.loads(found.stdout)["launches"] == 1
    assert {"from python", "from a descriptor", "from C", "from a child"} <= set(found.stderr.splitlines())


def test_what_is_assumed_is_said_on_the_command_line() -> None:
    some, everything = (good(predict("models.py:selects", "--json", *said)) for said in (["--assume", "keep=0.3"], []))
    assert "assumed: a selection by values keeps 30 %" in some["notes"]
    assert "assumed: a selection by values keeps everything" in everything["notes"]
    assert some["kernel_s"] < everything["kernel_s"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("kep=0.3", "unknown assumption 'kep': did you mean keep?"),
        ("everything", "unknown assumption 'everything': known: keep"),
        ("keep", "wants NAME=NUMBER, for example keep=0.3, not 'keep'"),
        ("keep=some", "wants NAME=NUMBER, for example keep=0.3, not 'keep=some'"),
        ("keep=30", "share of 0 to 1, not keep=30.0"),
    ],
)
def test_an_assumption_that_cannot_be_is_one_line(said: str, message: str) -> None:
    assert message in complaint(predict("models.py:selects", "--assume", said))


def test_nothing_is_assumed_of_an_onnx_file() -> None:
    assert "nothing can be changed or assumed" in complaint(predict("some.onnx", "--assume", "keep=0.3"))


def test_a_model_is_the_first_word_or_an_option() -> None:
    expected = good(predict("resnet50", "--json"))
    assert good(invoke("resnet50", "--gpu", "h200", "--json"))["latency_s"] == expected["latency_s"]
    assert good(invoke("--gpu", "h200", "--json", "resnet50"))["latency_s"] == expected["latency_s"]
    assert "say one model, not resnet50 and --model gpt2" in complaint(invoke("resnet50", "--model", "gpt2"))


def test_a_model_that_is_called_like_a_command_is_said_with_the_option() -> None:
    assert "unknown model 'list'" in complaint(predict("list"))


def test_a_calibration_is_found_as_a_folder_here(folder: Path) -> None:
    (folder / "mine").mkdir()
    for file in ("device.json", "kernels.json", "eager.json"):
        shutil.copy(SHIPPED / "h200" / file, folder / "mine")
    assert good(predict("resnet50", "--json", gpu="mine")) == good(predict("resnet50", "--json"))


def test_a_dtype_that_a_gpu_lacks_is_said_of_the_gpu() -> None:
    said = complaint(predict("resnet50", "--dtype", "bf16", gpu="v100"))
    assert said == "error: v100 has no bf16: say another, --dtype fp16 or fp32"


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("kernel", "--help"),
        ("list", "gpus"),
        ("list", "kernels"),
        ("list", "runtimes"),
        ("list", "hosts", "--gpu", "a6000"),
        ("resnet50", "--gpu", "a100", "--runtime", "onnx"),
        ("mobilebert", "--gpu", "h200"),
        ("funnel", "--gpu", "titanx", "--compare", "--batch", "128"),
        ("models.py:layer", "--gpu", "h200", "--compare"),
        ("kernel", "conv", "--gpu", "h200", "batch=1", "c_in=64", "c_out=64", "h=56", "w=56", "r=3", "s=3"),
    ],
    ids=" ".join,
)
def test_no_line_is_wider_than_a_terminal(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    result = invoke(*words)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "nan" not in result.stdout


def test_everything_that_can_be_named_is_listed_in_text_and_json() -> None:
    assert [row["name"] for row in good(invoke("list", "models", "--json"))] == models_zoo.names()
    gpus = {row["name"]: row for row in good(invoke("list", "gpus", "--json"))}
    assert gpus["h200"]["provenance"] == "measured"
    assert gpus["h200"]["runtimes"]["eager"] == "measured"
    assert 0 < gpus["a100"]["kernels_error"] < 1
    described = {row["name"]: row["description"] for row in good(invoke("list", "runtimes", "--json"))}
    assert described["torchscript"].startswith("TorchScript")
    families = {row["name"]: row for row in good(invoke("list", "kernels", "--json"))}
    assert families["gemm"] == {
        "name": "gemm",
        "required": ["m", "n", "k"],
        "optional": {"batch": 1, "nt": 1, "bias": 0, "gelu": 0, "added": 0},
    }
    hosts = good(invoke("list", "hosts", "--gpu", "a6000", "--json"))
    assert sum(host["default"] for host in hosts) >= 1
    assert "unknown list 'modles': did you mean models?" in complaint(invoke("list", "modles"))


def test_models_and_gpus_can_be_listed() -> None:
    listed = invoke("--list-models").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:-2]] == models_zoo.names()
    assert max(map(len, listed)) <= 80
    assert "h200" in invoke("--list-gpus").stdout


# bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "bert-bas"), "unknown model 'bert-bas': did you mean bert-base"),
        (("--model", "lstm"), "unknown model 'lstm': known: albert, alexnet, bert-base"),
        (
            ("--gpu", "h20"),
            "unknown GPU 'h20': did you mean h200 or b200? A GPU that is on no list: --gpu-spec FILE",
        ),
        (("--runtime", "egar"), "unknown runtime 'egar': did you mean eager?"),
        (("--runtime", "TensorRT"), "runtime 'TensorRT' is not supported, nearest: onnx-cudagraph"),
        (("--runtime", "inductor"), "unknown runtime 'inductor': did you mean compile?"),
        (
            ("--gpu", "rtx4095"),
            "unknown GPU 'rtx4095': nobody calibrated it; describe it in a datasheet, --gpu-spec FILE",
        ),
        (("--dtype", "bfloat16"), "unknown dtype 'bfloat16': did you mean bf16?"),
        (("--dtype", "int8"), "int8 is not supported, quantised kernels are not priced"),
        (("--batch", "many"), "--batch wants whole numbers, for example 8, 1,2,8 or 4..64"),
        (("--dtype", "fp61"), "unknown dtype of h200 'fp61': did you mean fp16"),
        (("--estimator", "que"), "unknown estimator 'que': did you mean queue?"),
        (("--batch", "0"), "batch must be 1 or more, not 0"),
        (("--batch", "-3"), "batch must be 1 or more, not -3"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_unknown_name_or_batch_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    given = {"--model": "distilbert", "--gpu": "h200", arguments[0]: arguments[1]}
    assert message in complaint(invoke(*(word for pair in given.items() for word in pair)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "predict MODEL --gpu NAME"),
        (("--model", "distilbert"), "say on which GPU: --gpu NAME"),
        (("--gpu", "h200"), "predict MODEL --gpu NAME"),
        (("list",), "say what to list: models, gpus, hosts, runtimes, kernels"),
    ],
    ids=str,
)
def test_a_question_that_is_not_complete_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    assert message in complaint(invoke(*arguments))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models.py:raises", "models.py:raises raised RuntimeError: out of cheese"),
        ("models.py:raises_in_lines", "models.py:raises_in_lines raised RuntimeError: out of cheese"),
        ("models.py:number", "must return (torch.nn.Module, inputs), not int"),
        ("models.py:triple", "must return (torch.nn.Module, inputs), not a tuple of Linear, Tensor, str"),
        ("models.py:no_module", "must return (torch.nn.Module, inputs), not a tuple of str, Tensor"),
        ("models.py:no_inputs", "inputs must be a tensor, a tuple or a mapping of them, not NoneType"),
        ("models.py:text_inputs", "inputs must be a tensor, a tuple or a mapping of them, not str"),
        ("models.py:wrong_shape", "Linear does not run on these inputs"),
        ("models.py:laier", "unknown function of models.py 'laier': did you mean layer"),
        ("models.py:not_a_function", "unknown function of models.py 'not_a_function'"),
        ("models.py", "say which function of models.py makes the model"),
        ("absent.py:build", "no such file: absent.py"),
        ("absent.json", "no such file: absent.json"),
        ("broken.py:build", "broken.py fails to import: SyntaxError"),
        ("missing_import.py:build", "missing_import.py fails to import: ModuleNotFoundError"),
        ("kindless/config.json", "has no model_type"),
        ("list/config.json", "has no model_type"),
        ("half.json", "half.json is no JSON file"),
        ("unknown/config.json", "cannot build 'nosuchkind'"),
        ("heads/config.json", "cannot build 'bert'"),
    ],
)
def test_a_model_that_cannot_be_is_one_line(model: str, message: str) -> None:
    assert message in complaint(predict(model))


def test_a_decision_by_values_is_assumed_and_said() -> None:
    assert good(predict("models.py:looks_at_data", "--json"))["notes"][-1] == "assumed: a condition on values holds"


def test_a_complaint_fits_a_screen() -> None:
    assert len(complaint(predict("unknown/config.json"))) < 400


def test_debug_shows_the_traceback_of_the_factory_itself() -> None:
    result = predict("models.py:raises", "--debug")
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert "in raises" in result.stderr
    assert 'raise RuntimeError("out of cheese")' in result.stderr


def test_a_failing_model_changes_nothing_for_the_next() -> None:
    before = good(predict("models.py:layer", "--json"))["latency_s"]
    complaint(predict("models.py:wrong_shape"))
    assert good(predict("models.py:layer", "--json"))["latency_s"] == pytest.approx(before, rel=0.01)


def calibration_copy(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "h200") -> Path:
    copied = folder / "calibrations" / name
    copied.mkdir(parents=True)
    for file in ("device.json", "kernels.json", "eager.json"):
        shutil.copy(SHIPPED / "h200" / file, copied)
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(copied.parent))
    return copied


@pytest.mark.parametrize("file", ["device.json", "kernels.json", "eager.json"])
def test_a_truncated_calibration_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    path = calibration_copy(folder, monkeypatch) / file
    path.write_bytes(path.read_bytes()[:500])
    assert f"{file}: $: truncated or damaged" in complaint(predict())


@pytest.mark.parametrize("file", ["kernels.json", "eager.json"])
def test_a_missing_calibration_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    (calibration_copy(folder, monkeypatch) / file).unlink()
    assert file.removesuffix(".json") in complaint(predict())


@pytest.mark.parametrize("file", ["device.json", "kernels.json", "eager.json"])
def test_a_calibration_of_a_newer_schema_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    path = calibration_copy(folder, monkeypatch) / file
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "schema": 99}), encoding="utf-8")
    assert f"{file}: $.schema: 99, this program reads 3: upgrade it" in complaint(predict())


def test_a_calibration_of_another_gpu_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibration_copy(folder, monkeypatch, "a100")
    assert "device.json: $.gpu: expected 'a100', got \"h200\"" in complaint(predict(gpu="a100"))


def test_a_number_that_is_none_is_one_line() -> None:
    done = run("predict", "--model", "distilbert", "--gpu", "h200", "--batch", "many")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error:")
    assert "--batch" in line


def test_the_first_line_says_the_dtype_and_why() -> None:
    assert predict("models.py:layer").stdout.startswith(
        "models:layer, batch 1, fp32 (the model's own), eager on h200\n"
    )
    assert predict("models.py:layer", "--dtype", "fp16").stdout.startswith(
        "models:layer, batch 1, fp16, eager on h200\n"
    )
    assert predict("distilbert").stdout.startswith("distilbert, batch 1, fp16 (the default), eager on h200\n")
    compared = predict("models.py:layer", "--compare").stdout
    assert compared.startswith("models:layer, batch 1, fp32 (the model's own) on h200, times in ms\n")


def test_a_dtype_that_the_gpu_is_not_calibrated_for_says_what_to_ask(folder: Path) -> None:
    (folder / "double.py").write_text(FACTORIES.replace("torch.nn.Linear(8, 4)", "torch.nn.Linear(8, 4).double()"))
    said = complaint(predict("double.py:layer"))
    assert "h200 is not calibrated for fp64, the model's own dtype: say another, --dtype bf16 or fp16" in said
    assert good(predict("double.py:layer", "--dtype", "fp32", "--json"))["dtype"] == "fp32"


def test_a_head_and_a_length_are_options() -> None:
    data = good(predict("bert/config.json", "--head", "masked-lm", "--length", "32", "--json"))
    assert data["notes"][:2] == ["priced: BertForMaskedLM", "inputs: input_ids (1, 32)"]


def test_layout_and_autocast_are_options() -> None:
    data = good(predict("models.py:layer", "--layout", "channels_last", "--amp", "bf16", "--json"))
    assert data["notes"][:2] == [
        "weights and inputs of four and five dimensions are channels-last",
        'operators run as torch.autocast("cuda", torch.bfloat16) runs them',
    ]
    assert "unknown layout 'channel_last': did you mean channels_last" in complaint(
        predict("models.py:layer", "--layout", "channel_last")
    )
    assert "unknown dtype of autocast 'fp8'" in complaint(predict("models.py:layer", "--amp", "fp8"))


def test_sentences_of_the_report_fit_a_terminal() -> None:
    assert max(map(len, predict("bert/config.json", "--amp", "fp16").stdout.splitlines())) <= 80
