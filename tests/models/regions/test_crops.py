"""Boxes of regions, and their crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from suite.models.regions.crops import Boxes, crop_and_resize, region_boxes
from suite.models.regions.partition import Partition, partition


def test_a_box_is_the_smallest_around_the_patches_of_a_region() -> None:
    labels = torch.tensor(
        [
            [[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 1, 1], [0, 0, 0, 0]],
            [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]],
        ]
    )
    boxes = region_boxes(Partition(labels.flatten(1), torch.tensor([3, 2])))
    assert boxes.images.tolist() == [0, 0, 0, 1, 1]
    expected = [[0, 0, 4, 4], [0, 2, 3, 4], [2, 1, 3, 2], [0, 0, 4, 4], [1, 1, 2, 4]]
    assert (4 * boxes.edges).tolist() == expected


def test_boxes_are_those_of_a_loop_over_patches() -> None:
    regions = partition(torch.randn(5, 49, 6, generator=torch.Generator().manual_seed(0)))
    boxes = region_boxes(regions)
    expected = []
    for own, count in zip(regions.labels.view(5, 7, 7), regions.counts.tolist(), strict=True):
        for number in range(count):
            rows, columns = (own == number).nonzero(as_tuple=True)
            expected.append([int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1])
    torch.testing.assert_close(boxes.edges, torch.tensor(expected) / 7)
    assert boxes.images.bincount().tolist() == regions.counts.tolist()


def test_patches_that_are_no_square_are_refused() -> None:
    with pytest.raises(ValueError, match="8 patches are no square grid"):
        region_boxes(Partition(torch.zeros(1, 8, dtype=torch.int64), torch.tensor([1])))


def test_a_crop_has_the_pixels_of_its_box() -> None:
    """Resized to its own size, a crop is what was in the box; those of the whole image are the image."""
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    boxes = Boxes(torch.tensor([1, 0]), torch.tensor([[0.25, 0.5, 0.75, 1.0], [0.5, 0.0, 1.0, 0.5]]))
    crops = crop_and_resize(images, boxes, 4)
    torch.testing.assert_close(crops, torch.stack([images[1, :, 2:6, 4:], images[0, :, 4:, :4]]))
    whole = Boxes(torch.tensor([0, 1]), torch.tensor([[0.0, 0, 1, 1]] * 2))
    torch.testing.assert_close(crop_and_resize(images, whole, 8), images)


def test_boxes_are_widened_to_whole_pixels() -> None:
    """Thirds of 7 pixels: from 2.33 to 4.67 are pixels 2 to 5. Exact edges, such as 2/3 of 6, get no pixel more."""
    image = torch.arange(7.0).expand(1, 1, 7, 7)
    third = Boxes(torch.tensor([0]), torch.tensor([[1 / 3, 1 / 3, 2 / 3, 2 / 3]]))
    torch.testing.assert_close(crop_and_resize(image, third, 3), image[:, :, 2:5, 2:5])
    torch.testing.assert_close(crop_and_resize(image[:, :, :6, :6], third, 2), image[:, :, 2:4, 2:4])


def test_crops_are_resized_as_pillow_resizes() -> None:
    """Down, with a filter that is as wide as the reduction; the photograph isn't a square."""
    image = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    box = Boxes(torch.tensor([0]), torch.tensor([[0.25, 0.25, 0.75, 1.0]]))
    found = crop_and_resize(image, box, 8)
    cut = Image.fromarray(image[0, 0, 12:36, 16:].numpy())
    expected = torch.from_numpy(np.array(cut.resize((8, 8), Image.Resampling.BICUBIC)))[None, None]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, interpolate(image[:, :, 12:36, 16:], (8, 8), mode="bicubic"), atol=1e-2)
