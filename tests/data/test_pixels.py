"""Grey levels as numbers: against NumPy."""

from __future__ import annotations

import numpy as np
import torch

from suite.data.transfer import to_bytes


def test_floats_are_clamped_and_truncated():
    values = torch.linspace(-300, 600, 10_001)
    expected = np.trunc(np.clip(values.numpy(), 0, 255)).astype(np.uint8)
    assert expected.min() == 0
    assert expected.max() == 255
    np.testing.assert_array_equal(to_bytes(values).numpy(), expected)
