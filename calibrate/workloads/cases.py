"""What is run, by name; no torch is needed to name it."""

from __future__ import annotations

from msgspec import Struct


class Case(Struct, frozen=True, order=True, omit_defaults=True):
    """A model under a runtime: a name of ``sources``, a batch size, a dtype.

    length: tokens, 0 where the model's inputs have their usual size; lengths: the distribution that the lengths of a
    batch's texts are drawn from (``predictor.padding``), empty where none is padded.
    """

    model: str
    batch: int
    dtype: str
    runtime: str
    length: int = 0
    lengths: str = ""

    def __str__(self) -> str:
        told = [self.model, self.batch, self.dtype, self.runtime, self.length or "", self.lengths]
        return "/".join(str(part) for part in told if part != "")


class KernelId(Struct, frozen=True, order=True):
    """A kernel of a sweep: the index-th that is drawn of a series of its family.

    series: the dtype that it is drawn in, "any" where one fit has all of them, "node" or "alone" for kernels that a
    runtime alone makes.
    """

    family: str
    series: str
    index: int

    def __str__(self) -> str:
        return f"{self.family}/{self.series}/{self.index}"
