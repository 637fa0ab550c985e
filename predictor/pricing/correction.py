"""A host's and a device's factor from a few latencies that a user has measured, and what they leave uncertain.

A latency is the queue's, with all host times multiplied by one factor and all kernel times by another. The logarithms
of the factors have normal priors: ``a`` of the host, a deviation of it for every runtime, ``b`` of the device. Each
measurement adds ``log(measured) = log(queue(a + deviation, b)) + error``, where the error is what predictions of single
models are off by on the very host and device that they are made for; errors of one model are alike at all of its sizes.
The factors are the maximum of the posterior, found by Gauss-Newton steps (Nocedal and Wright, Numerical Optimization,
section 10.3); the curvature there gives their covariance (Laplace's approximation). The error has the tails of
Student's distribution, so that one wrong number among several counts little: Gauss-Newton again with errors as wide as
their residuals say (Lange, Little and Taylor, JASA 1989).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RUNTIMES_DIFFER = 0.09
"""How far the factor of one host differs between runtimes, standard deviation of its logarithm
(``benchmarks/measured_correction.py --constants``).
"""

DEVICES_DIFFER = 0.05
"""How far all kernels of a card are from those of another of its kind, standard deviation of log time: clocks, power
limits and cooling. A judgement; sessions on one card that was fitted differ by 0.02 (the same benchmark).
"""

MEASURED_ERROR = 0.03
"""Of a latency as users measure it, standard deviation of its logarithm: what interleaved rounds on a shared host
repeat to.
"""

DOUBTFUL = 3.0
"""Standard deviations from which a measured latency contradicts the others."""

TAIL = 4.0
"""Degrees of freedom of Student's distribution of errors: the usual choice where nobody knows the tails."""

ROUNDS = 6
"""Of widening errors: factors change by less than 1 % after them."""

STEPS, HALVINGS, CLOSE, SLOPE_STEP = 50, 8, 1e-6, 1e-3
"""Of Gauss-Newton at the most; of a step that makes it worse; of a step that is the last; of a difference quotient, all
in logarithms.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """A measured latency. name: for a person; model: measurements of one are alike in their error; latency_s: the
    queue's, with host times and kernel times multiplied by two factors; host_error, device_error: of single models, on
    the host and on the device, standard deviations of log time.
    """

    name: str
    model: Hashable
    runtime: str
    measured_s: float
    latency_s: Callable[[float, float], float]
    host_error: float
    device_error: float


@dataclass(frozen=True, slots=True)
class Correction:
    """Factors that measured latencies give, and what remains uncertain.

    count: of latencies; host_factor, device_factor: of all host and all kernel times; runtime_factors: of the runtimes
    that were measured, besides; covariance: of the logarithms of the host's factor, of those of ``runtime_factors``
    in their order, and of the device's; doubtful: measurements that contradict the others.
    """

    count: int
    host_factor: float
    device_factor: float
    runtime_factors: Mapping[str, float]
    covariance: tuple[tuple[float, ...], ...]
    doubtful: tuple[str, ...] = ()

    def host_factor_of(self, runtime: str) -> float:
        """The host's factor under a runtime."""
        return self.host_factor * self.runtime_factors.get(runtime, 1.0)

    def log_sd(self, runtime: str, host_share: float, device_share: float) -> float:
        """What the factors leave uncertain of a latency, standard deviation of its logarithm. host_share,
        device_share: how much of the latency's error is each one's.
        """
        names = list(self.runtime_factors)
        shares = np.zeros(len(names) + 2)
        shares[0], shares[-1] = host_share, device_share
        if runtime in names:
            shares[1 + names.index(runtime)] = host_share
            unmeasured = 0.0
        else:
            unmeasured = host_share * RUNTIMES_DIFFER
        return math.sqrt(max(float(shares @ np.array(self.covariance) @ shares), 0.0) + unmeasured**2)


def correct(observations: Sequence[Observation], hosts_differ: float, devices_differ: float) -> Correction:
    """The factors. hosts_differ, devices_differ: standard deviations of their logarithms beforehand."""
    runtimes = sorted({observation.runtime for observation in observations})
    problem = _Problem(observations, runtimes)
    prior = np.array([hosts_differ, *([RUNTIMES_DIFFER] * len(runtimes)), max(devices_differ, DEVICES_DIFFER)]) ** -2.0
    theta, widened = np.zeros(len(prior)), np.ones(len(observations))
    for _ in range(ROUNDS):
        theta = _maximum(problem, prior, theta, widened)
        residual, slopes, covariance = problem.at(theta)
        deviations = residual / np.sqrt(np.diag(covariance))
        widened = np.sqrt((TAIL + deviations**2) / (TAIL + 1))
    covariance *= np.outer(widened, widened)
    posterior = np.linalg.inv(slopes.T @ np.linalg.solve(covariance, slopes) + np.diag(prior))
    far = np.abs(deviations) > DOUBTFUL
    factors = np.exp(theta).tolist()
    return Correction(
        count=len(observations),
        host_factor=factors[0],
        device_factor=factors[-1],
        runtime_factors=dict(zip(runtimes, factors[1:-1], strict=True)),
        covariance=tuple(tuple(row) for row in posterior.tolist()),
        doubtful=tuple(observation.name for observation, is_far in zip(observations, far, strict=True) if is_far),
    )


def _maximum(problem: _Problem, prior: Array, theta: Array, widened: Array) -> Array:
    """Logarithms of the factors at the maximum of the posterior, from a start. widened: how many times as large the
    error of each observation is.
    """
    for _ in range(STEPS):
        residual, slopes, covariance = problem.at(theta)
        covariance *= np.outer(widened, widened)
        weighted = np.linalg.solve(covariance, slopes)
        step = np.linalg.solve(slopes.T @ weighted + np.diag(prior), weighted.T @ residual - prior * theta)
        now = _misfit(residual, covariance, theta, prior)
        for _ in range(HALVINGS):
            if _misfit(problem.residual(theta + step), covariance, theta + step, prior) <= now:
                break
            step = step / 2
        theta = theta + step
        if np.abs(step).max() < CLOSE:
            break
    return theta


def _misfit(residual: Array, covariance: Array, theta: Array, prior: Array) -> float:
    """Minus twice the logarithm of the posterior, but for a constant."""
    return float(residual @ np.linalg.solve(covariance, residual) + prior @ theta**2)


class _Problem:
    """Residuals of the observations at factors, their slopes and their covariance."""

    def __init__(self, observations: Sequence[Observation], runtimes: Sequence[str]) -> None:
        self.observations = observations
        self.runtime = np.array([runtimes.index(observation.runtime) for observation in observations])
        models = list(dict.fromkeys(observation.model for observation in observations))
        model = np.array([models.index(observation.model) for observation in observations])
        self.alike = model[:, None] == model
        self.measured = np.log([observation.measured_s for observation in observations])

    def _predicted(self, theta: Array, more_host: float = 0.0, more_device: float = 0.0) -> Array:
        host = theta[0] + theta[1:-1][self.runtime] + more_host
        device = float(theta[-1]) + more_device
        return np.array(
            [
                math.log(observation.latency_s(math.exp(log_host), math.exp(device)))
                for observation, log_host in zip(self.observations, host.tolist(), strict=True)
            ]
        )

    def residual(self, theta: Array) -> Array:
        """Logarithms of measured over predicted, (observations,)."""
        return np.asarray(self.measured - self._predicted(theta))

    def at(self, theta: Array) -> tuple[Array, Array, Array]:
        """Residuals (observations,), slopes of the predictions (observations, parameters), and the covariance of the
        residuals (observations, observations).
        """
        of_host, of_device = (
            (self._predicted(theta, *up) - self._predicted(theta, *down)) / (2 * SLOPE_STEP)
            for up, down in (((SLOPE_STEP, 0.0), (-SLOPE_STEP, 0.0)), ((0.0, SLOPE_STEP), (0.0, -SLOPE_STEP)))
        )
        slopes = np.zeros((len(self.observations), len(theta)))
        slopes[:, 0], slopes[:, -1] = of_host, of_device
        slopes[np.arange(len(self.observations)), 1 + self.runtime] = of_host
        on_host = of_host * [observation.host_error for observation in self.observations]
        on_device = of_device * [observation.device_error for observation in self.observations]
        of_models = np.where(self.alike, np.outer(on_host, on_host) + np.outer(on_device, on_device), 0.0)
        return self.residual(theta), slopes, of_models + MEASURED_ERROR**2 * np.eye(len(self.observations))
