"""The hosts that go with any GPU, as a list shows them."""

from __future__ import annotations

from typing import NamedTuple

from predictor.calibration.host_costs import TYPICAL_HOST
from predictor.calibration.load import Calibration, all_hosts, load_calibration

REFERENCE_GPU = "h200"
"""The measured GPU whose host the others are compared with."""


class ListedHost(NamedTuple):
    """A host. time_factor: how many times as long it takes as the reference's; runtime: under which it was measured,
    "all" where under several; torch: its version; default: of the GPU that the list is for.
    """

    name: str
    time_factor: float
    runtime: str
    torch: str
    default: bool = False


def listed_hosts(gpu: str | None = None) -> list[ListedHost]:
    """Every host that goes with any GPU: those of a GPU first, then those that were measured, then all others."""
    measured, named = [], []
    for name, owner_gpu in all_hosts().items():
        owner = load_calibration(owner_gpu)
        if owner.named_hosts and name in owner.named_hosts.hosts:
            host, torch = owner.named_hosts.hosts[name], owner.named_hosts.environment.torch
            named.append(ListedHost(name, host.time_factor, host.runtime, torch))
        else:
            measured.append(_listed(owner, name))
    if gpu is None:
        return [*measured, *named]
    calibration = load_calibration(gpu)
    default = calibration.host("eager").name or calibration.gpu if "eager" in calibration.runtimes else ""
    typical = [_listed(calibration, TYPICAL_HOST)] if default == TYPICAL_HOST else []
    own = [host for host in named if host.name in calibration.hosts]
    measured.sort(key=lambda host: host.name != default)
    rows = [*typical, *own, *measured, *(host for host in named if host not in own)]
    return [row._replace(default=row.name == default) for row in rows]


def _listed(owner: Calibration, name: str) -> ListedHost:
    """The default host of a GPU: a typical one by its costs, a measured one by its probe."""
    costs, reference = (
        owner.host("eager", TYPICAL_HOST if name == TYPICAL_HOST else owner.gpu),
        load_calibration(REFERENCE_GPU).host("eager"),
    )
    time_factor = costs.op_factor / reference.op_factor if costs.kinds else costs.probe_s / reference.probe_s
    return ListedHost(name, time_factor, "all", costs.environment.torch)
