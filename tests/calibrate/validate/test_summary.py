"""What a calibration says of itself."""

from __future__ import annotations

from calibrate.validate.summary import calibration_text
from predictor.calibration.files import SHIPPED


def test_a_calibration_says_its_peaks_and_every_host_within_a_terminal() -> None:
    *said, written = calibration_text(SHIPPED / "h100").splitlines()
    assert written == f"written to {SHIPPED / 'h100'}"
    assert max(map(len, said)) <= 80
    assert any("bf16" in line for line in said)
    assert any(line.startswith("eager: ") for line in said)
