"""The fixed tables, against values of the published implementations at the size of DeiT-Ti."""

from __future__ import annotations

import numpy as np
import pytest

from suite.models.positions import POSITIONS, sin1d, sin2d

GRID, WIDTH = (14, 14), 192


def test_sin1d_values() -> None:
    table = sin1d(GRID, 1, WIDTH)
    assert table.shape == (197, WIDTH)
    assert table.dtype == np.float32
    np.testing.assert_allclose(table[1, :4], [0.841471, 0.540302, 0.788593, 0.614915], atol=1e-6)
    np.testing.assert_array_equal(table[0], np.tile([0, 1], WIDTH // 2))  # the class token is position 0
    assert table.sum(dtype=np.float64) == pytest.approx(12046.626, abs=5e-3)


def test_sin1d_without_class_token_starts_at_the_first_patch() -> None:
    np.testing.assert_array_equal(sin1d((3, 5), 0, 7), sin1d((3, 5), 1, 7)[:15])


def test_sin2d_values() -> None:
    table = sin2d(GRID, 1, WIDTH)
    assert table.shape == (197, WIDTH)
    assert table.dtype == np.float32
    assert not table[0].any()  # the class token has no place in the grid
    patch = table[1 + 14 * 1 + 2]  # row 1, column 2
    np.testing.assert_allclose(patch[:4], [0.909297, -0.416147, 0.996801, -0.079927], atol=1e-6)
    np.testing.assert_allclose(patch[96:100], [0.841471, 0.540302, 0.734822, 0.678260], atol=1e-6)
    assert table.sum(dtype=np.float64) == pytest.approx(17277.553, abs=5e-3)


def test_sin2d_of_a_grid_that_is_not_square() -> None:
    table = sin2d((3, 5), 0, 8).reshape(3, 5, 8)
    np.testing.assert_array_equal(table[:, :, :4], np.broadcast_to(table[:1, :, :4], (3, 5, 4)))  # columns
    np.testing.assert_array_equal(table[:, :, 4:], np.broadcast_to(table[:, :1, 4:], (3, 5, 4)))  # rows
    assert len(np.unique(table.reshape(15, 8), axis=0)) == 15


@pytest.mark.parametrize(("pe", "width", "refused"), [("sin2d", 22, True), ("sin2d", 20, False), ("sin1d", 7, False)])
def test_width_that_a_table_needs(pe: str, width: int, refused: bool) -> None:
    assert (POSITIONS[pe].refuses_width(width) is not None) == refused
