"""Latencies as tables: of a sweep, labelled along its axes, and of the candidates of a search."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from predictor.errors import unknown

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class SweepTable:
    """Latencies over several axes.

    array: seconds, a dimension for each axis, not a number where the runtime cannot run the model; axes: name
    ("gpu", "runtime", "dtype", "batch", "length") -> its values, in the order of the dimensions.
    """

    array: NDArray[np.float64]
    axes: Mapping[str, tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """A row for each latency, the last axis varying first: the axes' values, and ``latency_s``."""
        places = itertools.product(*self.axes.values())
        return [
            {**dict(zip(self.axes, place, strict=True)), "latency_s": seconds}
            for place, seconds in zip(places, self.array.ravel().tolist(), strict=True)
        ]

    def to_csv(self, path: Path | str) -> None:
        """Write the records to a file."""
        write_csv(Path(path), self.records())

    def to_pandas(self) -> DataFrame:
        """The records as a pandas.DataFrame."""
        from pandas import DataFrame

        return DataFrame(self.records())


@dataclass(frozen=True, slots=True)
class Price:
    """What a candidate takes on one GPU under one runtime, see ``records.Report``. reason: why the runtime cannot run
    it; its seconds are not a number then.
    """

    gpu: str
    runtime: str
    dtype: str
    latency_s: float
    interval_s: tuple[float, float]
    bound: str
    host_s: float
    kernel_s: float
    launches: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What is predicted of a candidate of a search.

    index: its place among the candidates; batch: at which it was priced; macs: multiply-accumulates; parameters: of the
    module, None where there was no module to count them of (a plan, a file); prices: for every GPU and runtime, in the
    order in which they were asked for, up to the first that is over the budget; error: why there are none; over_budget:
    a latency is over the budget.
    """

    index: int
    name: str
    batch: int = 0
    macs: int = 0
    parameters: int | None = None
    prices: tuple[Price, ...] = ()
    error: str = ""
    over_budget: bool = False

    @property
    def latency_s(self) -> float:
        """Of the first GPU and runtime; not a number where there is none."""
        return self.prices[0].latency_s if self.prices else math.nan

    @property
    def launches(self) -> int:
        """Kernel launches, of the first GPU and runtime."""
        return self.prices[0].launches if self.prices else 0

    def price(self, gpu: str | None = None, runtime: str | None = None) -> Price:
        """Of one GPU and runtime, None: the first. Raises PredictorError where it was not priced for these."""
        for price in self.prices:
            if gpu in (None, price.gpu) and runtime in (None, price.runtime):
                return price
        what = " under ".join(part for part in (gpu, runtime) if part)
        raise unknown(f"price of {self.name}", what, [f"{p.gpu} under {p.runtime}" for p in self.prices])

    def records(self) -> list[dict[str, Any]]:
        """A row for each price; one without a price where there is none."""
        model = {
            **{"index": self.index, "name": self.name, "batch": self.batch, "macs": self.macs},
            "parameters": self.parameters,
        }
        rows = [
            {
                **{"gpu": p.gpu, "runtime": p.runtime, "dtype": p.dtype, "latency_s": p.latency_s},
                **{"low_s": p.interval_s[0], "high_s": p.interval_s[1], "bound": p.bound, "host_s": p.host_s},
                **{"kernel_s": p.kernel_s, "launches": p.launches, "reason": p.reason},
            }
            for p in self.prices
        ]
        last = {"over_budget": self.over_budget, "error": self.error}
        return [{**model, **row, **last} for row in rows or [dict.fromkeys(PRICE_COLUMNS)]]


PRICE_COLUMNS = (
    *("gpu", "runtime", "dtype", "latency_s", "low_s", "high_s", "bound", "host_s", "kernel_s", "launches", "reason"),
)
"""Columns of a table of results that are of a price."""


@dataclass(frozen=True, eq=False)
class Results(Sequence[Result]):
    """Results of candidates, in their order. upper: they are compared by the upper end of their intervals."""

    results: tuple[Result, ...]
    upper: bool = False

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> Result | Results:
        if isinstance(index, slice):
            return Results(self.results[index], self.upper)
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    @property
    def errors(self) -> tuple[Result, ...]:
        """Those that were not predicted."""
        return tuple(result for result in self.results if result.error)

    def seconds(self, gpu: str | None = None, runtime: str | None = None) -> NDArray[np.float64]:
        """What candidates are compared by, (results,): latency on a GPU and under a runtime (None: the first), or the
        upper end of its interval; not a number where it was not priced.
        """
        return np.array([self._seconds(result, gpu, runtime) for result in self.results], dtype=float)

    def _seconds(self, result: Result, gpu: str | None, runtime: str | None) -> float:
        prices = [p for p in result.prices if gpu in (None, p.gpu) and runtime in (None, p.runtime)]
        return compared_s(prices[0], self.upper) if prices else math.nan

    def ranked(self, gpu: str | None = None, runtime: str | None = None) -> tuple[Result, ...]:
        """From the fastest to the slowest, equal ones in their order; without those that were not priced."""
        seconds = self.seconds(gpu, runtime)
        order = np.argsort(seconds, kind="stable")
        return tuple(self.results[i] for i in order.tolist() if not math.isnan(seconds[i]))

    def records(self) -> list[dict[str, Any]]:
        """A row for each candidate, GPU and runtime."""
        return [row for result in self.results for row in result.records()]

    def to_csv(self, path: Path | str) -> None:
        """Write the records to a file."""
        write_csv(Path(path), self.records())

    def to_pandas(self) -> DataFrame:
        """The records as a pandas.DataFrame."""
        from pandas import DataFrame

        return DataFrame(self.records())


def compared_s(price: Price, upper: bool) -> float:
    """What a price is compared by: latency, or the upper end of its interval."""
    return price.interval_s[1] if upper else price.latency_s


def write_csv(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records, the names of the first as head."""
    rows = list(records)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
