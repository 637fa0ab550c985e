"""A ``config.json`` of transformers or diffusers, or a class or model type of transformers by its name: the model that
it describes, without weights, with the inputs that its forward needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predictor.errors import PredictorError, one_line, unknown
from predictor.sources.built import Build, Built, shapes_of, without_data
from predictor.sources.installed import library

_FILE_FIELDS = frozenset(
    (
        *("model_type", "architectures", "transformers_version", "_name_or_path", "name_or_path", "_commit_hash"),
        *("torch_dtype", "dtype", "auto_map", "quantization_config", "task_specific_params", "attn_implementation"),
        *("_attn_implementation", "_attn_implementation_autoset", "custom_pipelines", "model_name", "finetuning_task"),
        *("output_past", "gradient_checkpointing", "_diffusers_version", "transformers.js_config", "language"),
    )
)
"""Fields of files that say nothing of what a forward computes, or are read here."""

_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}


def of_file(path: Path, batch: int | None, length: int | None, head: str | None, strict: bool) -> Built:
    """The model of a configuration file. Raises PredictorError where it is none; strict: also where it has a field that
    has no effect here.
    """
    fields = _read(path)
    name = path.resolve().parent.name
    if "_class_name" in fields:
        from predictor.sources.diffusion import of_configuration

        return of_configuration(fields, name, batch, length)
    if "model_type" not in fields:
        raise PredictorError(f"{path} is no transformers configuration: it has no model_type")
    kind = fields.pop("model_type")
    library("transformers")
    try:
        from transformers import AutoConfig

        with _quiet():
            config = AutoConfig.for_model(kind, **fields)
    except Exception as error:
        raise PredictorError(f"transformers cannot build {kind!r} from {path}: {one_line(error)}") from error
    ignored = list(_ignored(fields, config))
    if strict and ignored:
        raise PredictorError(f"{path}: {'; '.join(ignored)}")
    return _built(config, head, fields.get("architectures") or [], name, batch, length, tuple(ignored), str(path))


def of_name(name: str, batch: int | None, length: int | None, head: str | None) -> Built:
    """A class of transformers ("BertForMaskedLM") or a model type ("bert"), as its configuration class has it. Raises
    PredictorError for an unknown name.
    """
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if name in CONFIG_MAPPING_NAMES:
        return _built(_default(name, None), head, [], name, batch, length, (), f"transformers:{name}")
    kind = getattr(transformers, name, None) if name.isidentifier() else None
    if not (isinstance(kind, type) and getattr(kind, "config_class", None)):
        models = [n for n in dir(transformers) if n[0].isupper() and ("Model" in n or "For" in n)]
        raise unknown("model of transformers", name, [*CONFIG_MAPPING_NAMES, *models])
    return _built(_default(name, kind), head or name, [], name, batch, length, (), f"transformers:{name}")


def _default(name: str, kind: Any) -> Any:
    """The default configuration of a class of models, or of a model type. Raises PredictorError where it has none."""
    from transformers import AutoConfig

    try:
        with _quiet():
            return AutoConfig.for_model(name) if kind is None else kind.config_class()
    except Exception as error:
        raise PredictorError(
            f"transformers has no default configuration of {name} ({one_line(error)}): write a config.json"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what transformers logs of fields that are no fault of the user's."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise PredictorError(f"no such file: {path}")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PredictorError(f"{path} is no JSON file: {error}") from error
    if not isinstance(fields, dict):
        raise PredictorError(f"{path} is no transformers configuration: it has no model_type")
    return fields


def _built(
    config: Any,
    head: str | None,
    architectures: list[str],
    name: str,
    batch: int | None,
    length: int | None,
    notes: tuple[str, ...],
    where: str,
) -> Built:
    from predictor.sources.transformers_inputs import Sizes, inputs_of

    kind = config.model_type
    auto = _class_of(config, head)
    with _quiet():
        module = without_data(lambda: made(auto, config), f"transformers cannot build {kind!r} from {where}")
    size = batch or 1
    inputs = inputs_of(module, size, length)
    priced = type(module).__name__
    if head is None:
        others = [a for a in architectures if a != priced]
        asked = f"; the file is of {others[0]}: --head {others[0]} prices that" if others else ""
        priced = f"{priced}, the model without a task head{asked}"
    notes = (f"priced: {priced}", f"inputs: {shapes_of(inputs)}", *notes)
    dtype = str(getattr(config, "dtype", None) or "").removeprefix("torch.")
    text = Sizes(config, size, length, set()).length if "input_ids" in inputs else None

    def reshaped(dimension: str, value: int) -> Build:
        other = resized(config, dimension, value)
        return lambda batch, length: _built(other, head, architectures, name, batch, length, notes, where)

    own_dtype = _DTYPES.get(dtype, dtype) or None
    return Built(module, inputs, name, size, notes, own_dtype, length=text, shape=shape_of(config), reshaped=reshaped)


_WIDTHS = (
    *("hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size", "hidden_dim", "n_inner"),
    *("ffn_dim", "d_ff", "d_inner", "encoder_ffn_dim", "decoder_ffn_dim"),
    *("encoder_attention_heads", "decoder_attention_heads"),
)
"""Fields of configurations that grow with the width: heads keep their size, and there are more."""

_OF_PARTS = ("true_hidden_size", "intra_bottleneck_size", "text_config", "vision_config", "is_encoder_decoder")
"""Fields of networks of several widths or depths: which of them is meant is not known."""


def shape_of(config: Any) -> dict[str, int]:
    """Width and depth that a configuration says, those of them that it has: of networks of one width."""
    if any(getattr(config, field, None) for field in _OF_PARTS):
        return {}
    fields = {"width": "hidden_size", "depth": "num_hidden_layers"}
    values = {dimension: getattr(config, field, None) for dimension, field in fields.items()}
    heads = getattr(config, "num_attention_heads", None)
    return {
        dimension: value
        for dimension, value in values.items()
        if type(value) is int and (dimension == "depth" or type(heads) is int)
    }


def resized(config: Any, dimension: str, value: int) -> Any:
    """The configuration of a wider or deeper network. Raises PredictorError where one of its fields cannot grow so."""
    import copy

    now, other = shape_of(config)[dimension], copy.deepcopy(config)
    if dimension == "depth":
        other.num_hidden_layers = value
        for name, said in vars(config).items():
            if isinstance(said, list) and len(said) == now:  # what each layer is
                setattr(other, name, [said[layer % now] for layer in range(value)])
        return other
    names = {getattr(config, "attribute_map", {}).get(name, name) for name in _WIDTHS}
    for name in names:
        said = getattr(config, name, None)
        if type(said) is int:
            grown, rest = divmod(said * value, now)
            if rest:
                raise PredictorError(f"{name} of {said} does not grow as {now} to {value} does")
            setattr(other, name, grown)
    return other


def made(auto: Any, config: Any) -> Any:
    """A model in torch's default dtype: the configuration's is that of the prediction."""
    import copy

    config = copy.deepcopy(config)
    config.dtype = None
    config.architectures = config.architectures or []  # a type with several base models is looked up among them
    return auto.from_config(config) if hasattr(auto, "from_config") else auto(config)


def heads(config: Any) -> dict[str, Any]:
    """Task heads that a model type has: name ("masked-lm") -> the auto class that makes it."""
    from transformers.models.auto import modeling_auto

    found = {}
    for name, auto in list(vars(modeling_auto).items()):
        if name.startswith("AutoModelFor") and type(config) in getattr(auto, "_model_mapping", ()):
            found[kebab(name.removeprefix("AutoModelFor"))] = auto
    return found


def kebab(name: str) -> str:
    """A class name's words.

    >>> kebab("MaskedLM"), kebab("ImageTextToText"), kebab("Seq2SeqLM"), kebab("CTC")
    ('masked-lm', 'image-text-to-text', 'seq2seq-lm', 'ctc')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _class_of(config: Any, head: str | None) -> Any:
    """What makes the model: the auto class of a task, the class itself where it is named, the base model's."""
    import transformers

    if head is None:
        if type(config) in transformers.AutoModel._model_mapping:
            return transformers.AutoModel
        known = heads(config)
        if not known:
            raise PredictorError(
                f"transformers has no model of type {config.model_type} by itself: write a factory, "
                "--model FILE.py:FUNCTION"
            )
        raise PredictorError(
            f"{config.model_type} has no model without a task head: say which, --head {' or '.join(sorted(known))}"
        )
    known = heads(config)
    if head in known:
        return known[head]
    named = getattr(transformers, head, None) if head.isidentifier() else None
    if isinstance(named, type) and getattr(named, "config_class", None) is not None:
        if isinstance(config, named.config_class):  # type: ignore[attr-defined]
            return named
        raise PredictorError(
            f"{head} is made from {named.config_class.__name__}, not {type(config).__name__}: "  # type: ignore[attr-defined]
            f"--head {' or '.join(sorted(known)) or 'with a class of that configuration'}"
        )
    raise unknown(f"head of {config.model_type}", head, known)


def _ignored(fields: Mapping[str, Any], config: Any) -> Iterator[str]:
    """What the file says that has no effect on the model."""
    quantization = fields.get("quantization_config")
    if quantization:
        method = quantization.get("quant_method", "") if isinstance(quantization, dict) else ""
        yield (
            f"quantization_config{f' ({method})' if method else ''} is not applied: the layers are priced as dense ones"
        )
    unknown_fields = list(_unknown(fields, config, ""))
    if unknown_fields:
        plural = "fields that change" if len(unknown_fields) > 1 else "a field that changes"
        yield f"{type(config).__name__} does not know {plural} nothing here: {', '.join(unknown_fields)}"
    if fields.get("auto_map"):
        yield "auto_map is not followed: the code of transformers is priced, not that of the file's authors"


def _unknown(fields: Mapping[str, Any], config: Any, prefix: str) -> Iterator[str]:
    known = known_fields(type(config))
    for name, value in fields.items():
        if name not in known and not (prefix and name.startswith("_")):
            yield f"{prefix}{name}"
        part = getattr(config, name, None) if isinstance(value, dict) else None
        if isinstance(value, dict) and hasattr(part, "to_dict"):
            yield from _unknown(value, part, f"{prefix}{name}.")


_READS = re.compile(r"""self\.(\w+)|kwargs\.(?:pop|get)\(\s*["'](\w+)|["'](\w+)["'] in kwargs""")
"""How the code of a configuration class names a field that it does not declare."""

_COMMON = frozenset(("id2label", "label2id", "num_labels", "rope_theta", "rope_scaling", "rope_parameters"))
"""Fields that all classes read, in code that they share."""


def known_fields(kind: Any) -> frozenset[str]:
    """Fields that a configuration class knows: that it or its bases declare, compute or read, their other names, those
    of text generation.
    """
    import inspect

    from transformers import GenerationConfig

    names = _FILE_FIELDS | _COMMON | frozenset(GenerationConfig().to_dict())
    for base in kind.__mro__:
        other_names = vars(base).get("attribute_map", {})
        names |= set(vars(base).get("__annotations__", {})) | set(other_names) | set(other_names.values())
        names |= {name for name, value in vars(base).items() if isinstance(value, property)}
        names |= {name for found in _READS.findall(_source(base)) for name in found if name}
        initialise = vars(base).get("__init__")
        if initialise is not None and base is not object:
            names |= set(inspect.signature(inspect.unwrap(initialise)).parameters)
    return names


def _source(kind: Any) -> str:
    import inspect

    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""
