"""Matrix products, linear algebra of small matrices, Fourier transforms and complex numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.operator_tables.table import bf16, call, calls, definite, fp32, ints, layer, normal, uniform

# fmt: off
# A row is a line; what does not fit goes on in the next one.

# matrix products

calls("matmul", torch.matmul, (normal(512, 512), normal(512, 512)), (normal(2048, 1000), normal(1000, 3000)),
    (normal(127, 129), normal(129, 131)))
fp32("matmul", torch.matmul, (normal(512, 512), normal(512, 512)), (normal(1024, 1024), normal(1024, 1024)))
bf16("matmul", torch.matmul, (normal(2048, 2048), normal(2048, 2048)))
calls("matmul_transposed", lambda a, b: a @ b.mT, (normal(1024, 768), normal(21128, 768)),
    (normal(8, 12, 197, 64), normal(8, 12, 197, 64)))
calls("matmul_first_transposed", lambda a, b: a.mT @ b, (normal(16, 1024, 256), normal(16, 1024, 256)),
    (normal(50000, 64), normal(50000, 64)))
calls("matmul_vector", torch.matmul, (normal(4096, 4096), normal(4096)), (normal(8, 1024, 256), normal(256)))
calls("vector_matmul", torch.matmul, (normal(1024), normal(1024, 4096)))
calls("dot", torch.dot, (normal(100000), normal(100000)))
calls("mv", torch.mv, (normal(10000, 300), normal(300)))
calls("matmul_shared_right", torch.matmul, (normal(64, 200, 256), normal(256, 512)),
    (normal(8, 12, 256, 64), normal(64, 64)))
calls("matmul_shared_left", torch.matmul, (normal(207, 207), normal(64, 207, 64)),
    (normal(49, 49), normal(32, 8, 49, 32)))
calls("matmul_broadcast_batches", torch.matmul, (normal(8, 1, 64, 128), normal(12, 128, 64)),
    (normal(1, 12, 64, 64), normal(32, 1, 64, 64)))
calls("matmul_batch_by_vector", lambda a, v: a @ v[..., None], (normal(4096, 32, 32), normal(4096, 32)))
calls("matmul_tall_skinny", torch.matmul, (normal(100000, 64), normal(64, 8)), (normal(16, 4096), normal(4096, 16)))
calls("matmul_long_inner", torch.matmul, (normal(64, 100000), normal(100000, 64)))
fp32("bmm_3x3", torch.bmm, (normal(10000, 3, 3), normal(10000, 3, 3)), (normal(16, 3, 3), normal(16, 3, 2048)))
fp32("bmm_4x4", torch.bmm, (normal(20000, 4, 4), normal(20000, 4, 4)))
calls("bmm_rotate_points", lambda r, p: p @ r.mT, (normal(64, 3, 3), normal(64, 2048, 3)))
calls("bmm", torch.bmm, (normal(96, 197, 197), normal(96, 197, 64)), (normal(8, 64, 64), normal(8, 64, 64)),
    (normal(256, 33, 65), normal(256, 65, 31)))
calls("bmm_heads_last", lambda a, b: a.transpose(1, 2) @ b.permute(0, 2, 3, 1),
    (normal(8, 512, 12, 64), normal(8, 512, 12, 64)))
calls("addmm", torch.addmm, (normal(512), normal(2048, 512), normal(512, 512)),
    (normal(256, 256), normal(256, 128), normal(128, 256)))
calls("baddbmm", lambda c, a, b: torch.baddbmm(c, a, b, beta=1, alpha=0.125),
    (normal(96, 128, 128), normal(96, 128, 64), normal(96, 64, 128)))
calls("matmul_of_volumes", torch.matmul, (normal(2, 8, 16, 64, 32), normal(2, 8, 16, 32, 64)))
calls("addmv", torch.addmv, (normal(4096), normal(4096, 1024), normal(1024)))
calls("addbmm", torch.addbmm, (normal(64, 128), normal(32, 64, 256), normal(32, 256, 128)))
bf16("grouped_matmul",
    lambda x, w: torch._grouped_mm(x, w, offs=torch.arange(256, 2049, 256, device=x.device, dtype=torch.int32)),
    (normal(2048, 512), normal(8, 512, 1024)))
calls("int8_matmul", torch._int_mm, (ints(127, 1024, 1024, dtype=torch.int8), ints(127, 1024, 1024, dtype=torch.int8)))
for _in, _out in ((768, 3072), (1000, 10), (64, 1), (13, 37), (4096, 32000)):
    layer(f"linear_{_out}", functools.partial(nn.Linear, _in, _out), normal(256, _in))
layer("linear_3072", lambda: nn.Linear(768, 3072), normal(1, 768), normal(8, 512, 768))
layer("linear_512", lambda: nn.Linear(512, 512), normal(2048, 512), dtype="fp32")
calls("linear_of_transposed", lambda m, x: m(x.transpose(1, 2)), normal(32, 96, 321),
    layers=(lambda: nn.Linear(96, 336),))
calls("linear_of_channels", lambda m, x: m(x.permute(0, 2, 3, 1)), normal(8, 128, 28, 28),
    layers=(lambda: nn.Linear(128, 512),))
layer("bilinear", lambda: nn.Bilinear(64, 64, 32), (normal(256, 64), normal(256, 64)))
calls("experts_by_bmm", lambda x, w, v: torch.bmm(F.silu(torch.bmm(x, w)), v),
    (normal(8, 256, 512), normal(8, 512, 1024), normal(8, 1024, 512)))
calls("lora", lambda x, w, a, b: x @ w + (x @ a) @ b * 2.0,
    (normal(2048, 1024), normal(1024, 1024), normal(1024, 8), normal(8, 1024)))

_EINSUMS: dict[str, tuple[tuple[int, ...], ...]] = {
    "bhid,bhjd->bhij": ((8, 12, 256, 64), (8, 12, 256, 64)),
    "bhij,bhjd->bhid": ((8, 12, 256, 256), (8, 12, 256, 64)),
    "bqhd,bkhd->bhqk": ((8, 256, 12, 64), (8, 256, 12, 64)),
    "bhqk,bkhd->bqhd": ((8, 12, 256, 256), (8, 256, 12, 64)),
    "bi,bj->bij": ((4096, 64), (4096, 64)),
    "nkctv,kvw->nctw": ((16, 3, 64, 75, 25), (3, 25, 25)),
    "ncvl,vw->ncwl": ((32, 32, 207, 12), (207, 207)),
    "bhwc,hkc->bhwk": ((16, 14, 14, 64), (14, 14, 64)),
    "bixy,ioxy->boxy": ((16, 32, 16, 16), (32, 32, 16, 16)),
    "bnd,bmd->bnm": ((8, 1024, 128), (8, 1024, 128)),
    "bfd,bgd->bfg": ((2048, 26, 16), (2048, 26, 16)),
    "bld,dn->bldn": ((2, 512, 256), (256, 16)),
    "bldn,bln->bld": ((2, 512, 256, 16), (2, 512, 16)),
    "bhnd,bhne->bhde": ((8, 8, 4096, 32), (8, 8, 4096, 32)),
    "bsd,edf->besf": ((4, 256, 512), (8, 512, 256)),
    "bqc,bchw->bqhw": ((2, 100, 256), (2, 256, 64, 64)),
    "bikc,bjkc->bijc": ((1, 128, 128, 32), (1, 128, 128, 32)),
    "i,j->ij": ((2048,), (64,)),
    "bii->b": ((64, 256, 256),),
}
for _equation, _shapes in _EINSUMS.items():
    _words = _equation.replace("->", "_to_").replace(",", "_")
    calls(f"einsum_{_words}", functools.partial(torch.einsum, _equation), tuple(normal(*shape) for shape in _shapes))
calls("outer", torch.outer, (normal(4096), normal(4096)))
calls("kron", torch.kron, (normal(32, 32), normal(64, 64)))
calls("tensordot", lambda a, b: torch.tensordot(a, b, dims=([2, 3], [0, 1])),
    (normal(8, 128, 16, 64), normal(16, 64, 512)))
calls("cross_product", lambda a, b: torch.cross(a, b, dim=-1), (normal(100000, 3), normal(100000, 3)))
calls("cross_product_first", lambda a, b: torch.linalg.cross(a, b, dim=1), (normal(64, 3, 4096), normal(64, 3, 4096)))


# linear algebra of small matrices

_LINEAR_ALGEBRA: dict[str, Callable[..., Any]] = {
    "inverse": torch.linalg.inv,
    "determinant": torch.linalg.det,
    "log_determinant": lambda x: torch.linalg.slogdet(x)[1],
    "cholesky": torch.linalg.cholesky,
    "qr": torch.linalg.qr,
    "svd": lambda x: torch.linalg.svd(x, full_matrices=False),
    "eigh": torch.linalg.eigh,
    "matrix_exp": torch.linalg.matrix_exp,
    "matrix_power": lambda x: torch.linalg.matrix_power(x, 3),
    "pseudo_inverse": torch.linalg.pinv,
    "lu": torch.linalg.lu_factor,
    "frobenius_norm": torch.linalg.matrix_norm,
}
for _name, _function in _LINEAR_ALGEBRA.items():
    fp32(_name, _function, definite(256, 3, 3), definite(8, 64, 64))
fp32("inverse", torch.linalg.inv, definite(1000, 4, 4), definite(512, 512))
fp32("solve", torch.linalg.solve, (definite(64, 8, 8), normal(64, 8, 1)), (definite(4, 128, 128), normal(4, 128, 16)))
fp32("solve_triangular", lambda a, b: torch.linalg.solve_triangular(a.tril(), b, upper=False),
    (definite(16, 64, 64), normal(16, 64, 32)))
fp32("cholesky_solve", lambda a, b: torch.cholesky_solve(b, torch.linalg.cholesky(a)),
    (definite(8, 64, 64), normal(8, 64, 4)))
fp32("least_squares", lambda a, b: torch.linalg.lstsq(a, b).solution, (normal(16, 64, 8), normal(16, 64, 1)))
fp32("procrustes", lambda a, b: (lambda u, s, v: u @ v)(*torch.linalg.svd(a.mT @ b)),
    (normal(32, 100, 3), normal(32, 100, 3)))
fp32("newton_schulz", lambda x: (lambda a: 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x)(x @ x.mT), normal(256, 512))


# Fourier transforms and complex numbers

fp32("rfft", torch.fft.rfft, normal(64, 16000), normal(8, 512, 1000), normal(16, 8191))
fp32("rfft_time", lambda x: torch.fft.rfft(x, dim=1), normal(32, 336, 321))
fp32("rfft_and_back", lambda x: torch.fft.irfft(torch.fft.rfft(x, n=4096), n=4096)[..., :2048], normal(4, 256, 2048))
fp32("long_convolution", lambda x, k: torch.fft.irfft(torch.fft.rfft(x, n=2048) * torch.fft.rfft(k, n=2048), n=2048),
    (normal(4, 256, 1024), normal(256, 1024)))
fp32("fft_real", lambda x: torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real, normal(8, 512, 768))
fp32("rfft2", lambda x: torch.fft.rfft2(x, norm="ortho"), normal(16, 64, 64, 64), normal(8, 14, 14, 384))
fp32("rfft2_and_back", lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=(64, 64)), normal(16, 32, 64, 64))
fp32("global_filter",
    lambda x, w: torch.fft.irfft2(torch.fft.rfft2(x, dim=(1, 2)) * torch.view_as_complex(w), s=(14, 14), dim=(1, 2)),
    (normal(16, 14, 14, 384), normal(14, 8, 384, 2)))
fp32("spectral_convolution",
    lambda x, w: torch.einsum("bix,iox->box", torch.fft.rfft(x)[..., :16], torch.view_as_complex(w)),
    (normal(32, 64, 1024), normal(64, 64, 16, 2)))
fp32("fftn", lambda x: torch.fft.fftn(x, dim=(-3, -2, -1)), normal(2, 8, 32, 32, 32))
fp32("fftshift", lambda x: torch.fft.fftshift(torch.fft.fft2(x)).abs(), normal(8, 3, 256, 256))
fp32("periods_of_series", lambda x: torch.fft.rfft(x, dim=1).abs().mean((0, -1)).topk(5), normal(32, 96, 64))
fp32("autocorrelation", lambda q, k: torch.fft.irfft(torch.fft.rfft(q) * torch.conj(torch.fft.rfft(k))),
    (normal(32, 8, 64, 96), normal(32, 8, 64, 96)))
fp32("stft", lambda x: torch.stft(x, 400, 160, window=torch.hann_window(400, device=x.device), return_complex=True),
    normal(8, 160000))
fp32("complex_product", lambda a, b: torch.view_as_real(torch.view_as_complex(a) * torch.view_as_complex(b)),
    (normal(1024, 1024, 2), normal(1024, 1024, 2)))
fp32("complex_matmul", lambda a, b: (torch.view_as_complex(a) @ torch.view_as_complex(b)).abs(),
    (normal(8, 256, 256, 2), normal(8, 256, 256, 2)))
fp32("complex_exponential", lambda x: torch.exp(1j * x).real, normal(2048, 1024))
fp32("magnitude_and_phase", lambda x: (lambda c: (c.abs(), c.angle()))(torch.view_as_complex(x)),
    normal(8, 257, 1001, 2))
fp32("complex_sum", lambda x: torch.view_as_complex(x).sum(1).abs(), normal(64, 512, 32, 2))
fp32("from_polar", lambda r, t: torch.polar(r, t), (uniform(8, 257, 1001), uniform(8, 257, 1001)))
fp32("vandermonde_kernel",
    lambda a: torch.exp(torch.view_as_complex(-a.abs())[..., None] * torch.arange(1024, device=a.device)).sum(1).real,
    normal(256, 32, 2))

# fmt: on
# Calls that take statements.


@call((normal(32, 64, 64), normal(32, 64, 64)), dtype="fp32")
def pseudo_inverse_step(x: Tensor, z: Tensor) -> Tensor:
    product, identity = x @ z, torch.eye(64, device=x.device)
    return 0.25 * z @ (13 * identity - product @ (15 * identity - product @ (7 * identity - product)))


@call(normal(4, 65536), dtype="fp32")
def stft_power(x: Tensor) -> Tensor:
    window = torch.hann_window(1024, device=x.device)
    return torch.stft(x, 1024, 256, window=window, return_complex=True).abs().square()


@call(normal(4, 64000), dtype="fp32")
def stft_and_back(x: Tensor) -> Tensor:
    window = torch.hann_window(512, device=x.device)
    return torch.istft(torch.stft(x, 512, 128, window=window, return_complex=True), 512, 128, window=window)
