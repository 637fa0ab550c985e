"""Which nodes ONNX Runtime's CUDA provider has kernels for, asked of the installed onnxruntime-gpu itself:
``python -m benchmarks.onnx_kernels`` writes ``predictor/ops/onnx_kernels.json``.

No GPU is needed, nor CUDA: where its libraries are missing, empty ones of their names stand in for the time of asking
(``cc``, ``nm`` and ``readelf`` are needed then), as the provider's list of kernels calls none of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata, util
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "predictor" / "ops" / "onnx_kernels.json"

TYPES = {"float": "fp32", "float16": "fp16", "double": "fp64", "bfloat16": "bf16"}
TYPES |= {"float8e4m3fn": "fp8_e4m3", "float8e5m2": "fp8_e5m2", "float4e2m1": "fp4"}
"""ONNX Runtime's names of types -> ours, where they differ."""

LATEST = 2**31 - 1
"""Last opset of a kernel that has none."""

ASK = """
import json
from predictor import onnx_runtime
state = onnx_runtime.load("onnxruntime.capi.onnxruntime_pybind11_state")
kernels = [
    (k.domain, k.op_name, list(k.version_range), {name: list(types) for name, types in k.type_constraints.items()})
    for k in state.get_all_opkernel_def()
    if k.provider == "CUDAExecutionProvider"
]
schemas = [
    (s.domain, s.name, s.since_version, [i.typeStr for i in s.inputs], [o.typeStr for o in s.outputs],
     [i.name for i in s.inputs], [o.name for o in s.outputs])
    for s in state.get_all_operator_schema()
]
print(json.dumps([kernels, schemas]))
"""


def registered() -> tuple[list[Any], list[Any]]:
    """(Kernels, schemas) of the installed build, from a process of its own. Raises RuntimeError where it cannot say."""
    with tempfile.TemporaryDirectory() as folder:
        _stand_ins(Path(folder))
        libraries = os.pathsep.join(filter(None, (os.environ.get("LD_LIBRARY_PATH"), folder)))
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "LD_LIBRARY_PATH": libraries}
        done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"onnxruntime does not tell its kernels: {done.stderr.strip()[-300:]}")
    kernels, schemas = json.loads(done.stdout.splitlines()[-1])
    return kernels, schemas


def _stand_ins(folder: Path) -> None:
    """Empty libraries of the names that the providers link to, with the symbols and versions that they ask for."""
    spec = util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    symbols: dict[str, set[str]] = {}
    for provider in sorted((Path(spec.origin).parent / "capi").glob("libonnxruntime_providers_*.so")):
        needed = set(re.findall(r"\[(lib(?:cu|nv)[^]]+)\]", _said("readelf", "-d", str(provider))))
        symbols |= {library: symbols.get(library, set()) for library in needed}
        for line in _said("nm", "-D", "--undefined-only", str(provider)).splitlines():
            symbol, _, version = line.split()[-1].partition("@")
            if version in needed:
                symbols[version].add(symbol)
            elif not version and re.match(r"cu|get|create", symbol):
                for library in needed:
                    symbols[library].add(symbol)
    for library, names in symbols.items():
        handle = {name: "memory" for name in names if name.startswith("__cudaRegisterFatBinary")}
        bodies = "".join(f"void *{name}(void) {{ return {handle.get(name, '0')}; }}\n" for name in sorted(names))
        (folder / "stand_in.c").write_text(f"static long memory[4096];\n{bodies}")
        (folder / "versions").write_text(f"{library} {{ global: *; }};")
        flags = ["-w", "-shared", "-fPIC", "-fno-builtin", f"-Wl,-soname,{library}", "-Wl,--version-script=versions"]
        subprocess.run(["cc", *flags, "-o", library, "stand_in.c"], cwd=folder, check=True)


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def table(kernels: list[Any], schemas: list[Any]) -> dict[str, Any]:
    """Operator, with its domain in front -> since: opsets in which its definition changed; kernels: [first opset, last
    opset, constraints], a constraint being [positions, types]: the first tensor that is there of some positions (inputs
    from 0 up, outputs from -1 down) has one of the types.
    """
    known: dict[str, dict[int, Any]] = {}
    for domain, op, since, *rest in schemas:
        known.setdefault(f"{domain}:{op}", {})[since] = rest
    rows: dict[str, Any] = {}
    for domain, op, (first, last), constraints in kernels:
        name = f"{domain}:{op}"
        versions = known.get(name)
        if versions is None:  # one that ONNX Runtime inserts itself
            continue
        row = rows.setdefault(name, {"since": sorted(versions), "kernels": []})
        last = 0 if last == LATEST else last
        schema = versions[max((v for v in versions if v <= first), default=min(versions))]
        said = []
        for constraint, types in constraints.items():
            positions = _positions(constraint, *schema)
            plain = sorted({_plain(t) for t in types})
            if positions:
                said.append([positions, plain])
        row["kernels"].append([first, last, sorted(said)])
    return {name: {**row, "kernels": _joined(row["kernels"])} for name, row in sorted(rows.items())}


def _positions(constraint: str, inputs: Any, outputs: Any, input_names: Any, output_names: Any) -> list[int]:
    of_inputs = [i for i, (t, n) in enumerate(zip(inputs, input_names, strict=True)) if constraint in (t, n)]
    return of_inputs + [
        -1 - i for i, (t, n) in enumerate(zip(outputs, output_names, strict=True)) if constraint in (t, n)
    ]


def _plain(kind: str) -> str:
    inner = kind.removeprefix("tensor(").removesuffix(")") if kind.startswith("tensor(") else kind
    return TYPES.get(inner, inner)


def _joined(kernels: list[Any]) -> list[Any]:
    """Kernels that differ in the types of one constraint alone become one, until none do."""
    kernels = [k for i, k in enumerate(kernels) if k not in kernels[:i]]
    i = 0
    while i < len(kernels):
        for j in range(i + 1, len(kernels)):
            both = _join(kernels[i], kernels[j])
            if both is not None:
                kernels[i] = both
                del kernels[j]
                i = -1
                break
        i += 1
    return sorted(kernels, key=str)


def _join(a: Any, b: Any) -> Any:
    if a[:2] != b[:2] or [p for p, _ in a[2]] != [p for p, _ in b[2]]:
        return None
    different = [i for i, (x, y) in enumerate(zip(a[2], b[2], strict=True)) if x[1] != y[1]]
    if len(different) != 1:
        return None
    constraints = [[list(p), list(t)] for p, t in a[2]]
    constraints[different[0]][1] = sorted({*a[2][different[0]][1], *b[2][different[0]][1]})
    return [a[0], a[1], constraints]


def written(version: str, rows: dict[str, Any]) -> str:
    """The file's text: a line an operator."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    return f'{{"onnxruntime": {json.dumps(version)}, "operators": {{\n{lines}\n}}}}\n'


def main() -> None:
    """Write the table."""
    version = metadata.version("onnxruntime-gpu")
    rows = table(*registered())
    TABLE.write_text(written(version, rows), encoding="utf-8")
    print(f"{TABLE}: {len(rows)} operators of onnxruntime-gpu {version}")


if __name__ == "__main__":
    main()
