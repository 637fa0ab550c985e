"""The time that is left, on machines whose speed nobody knew."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from calibrate.progress import Progress, Stage

STAGES = {"operators": Stage(12, 5.0), "runtimes": Stage(500, 0.2), "kernels": Stage(30_000, 0.006)}


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def estimates(took_s: dict[str, float], chunk: dict[str, int], known: int = 0) -> Iterator[tuple[float, float]]:
    """(Seconds passed, seconds left as estimated) while stages run at some speed. known: kernels in the file."""
    clock = Clock()
    progress = Progress(STAGES, clock)
    yield 0.0, progress.left_s
    for name, stage in STAGES.items():
        done = known if name == "kernels" else 0
        if done:
            progress.advance(name, done)
        while done < stage.steps:
            steps = min(chunk[name], stage.steps - done)
            clock.now += steps * took_s[name]
            done += steps
            progress.advance(name, steps)
            yield clock.now, progress.left_s


CHUNKS = {"operators": 1, "runtimes": 5, "kernels": 192}


def test_before_anything_has_run_it_is_what_is_usual() -> None:
    assert next(estimates({}, {}))[1] == pytest.approx(12 * 5 + 500 * 0.2 + 30_000 * 0.006)


@pytest.mark.parametrize("slower", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("uneven", [1.0, 2.0])
def test_on_any_machine_it_is_about_right_once_a_fifth_is_done(slower: float, uneven: float) -> None:
    """Within a third, or 60 % where modules under runtimes take half of what is usual beside the rest (uneven: 2)."""
    took = {"operators": 5.0 * slower, "runtimes": 0.2 * slower / uneven, "kernels": 0.006 * slower}
    seen = list(estimates(took, CHUNKS))
    whole = seen[-1][0]
    for now, left in seen:
        if now > whole / 5:
            assert abs(left - (whole - now)) <= (whole - now) * (0.6 if uneven > 1 else 1 / 3) + whole * 0.02


def test_it_does_not_jump_where_a_stage_begins() -> None:
    seen = list(estimates({"operators": 10.0, "runtimes": 0.5, "kernels": 0.012}, CHUNKS))
    for (_, before), (_, after) in pairwise(seen[1:]):
        assert abs(after - before) <= 0.1 * seen[-1][0]


def test_what_was_in_the_file_already_says_nothing_of_the_rest() -> None:
    took = {"operators": 5.0, "runtimes": 0.2, "kernels": 0.006}
    seen = list(estimates(took, CHUNKS, known=15_000))
    now, left = seen[-40]
    assert left == pytest.approx(seen[-1][0] - now, rel=0.05)


def test_what_is_prepared_before_a_stage_is_no_time_of_its_steps() -> None:
    clock = Clock()
    progress = Progress(STAGES, clock)
    clock.now = 100.0
    begun = progress.of("runtimes")
    clock.now = 101.0
    begun(5)
    assert progress.left_s == pytest.approx(12 * 5 + 495 * 0.2 + 30_000 * 0.006)


def test_a_person_reads_the_stage_and_the_minutes() -> None:
    clock = Clock()
    progress = Progress(STAGES, clock)
    clock.now = 5.0
    progress.advance("operators", 1)
    assert progress.text == "operators, 6 min left"
    clock.now = 5.0 + 11 * 5 + 500 * 0.2
    progress.advance("operators", 11)
    progress.advance("runtimes", 500)
    progress.advance("kernels", 30_000)
    assert progress.text == "kernels, 5 s left"
    assert progress.share == 1.0
