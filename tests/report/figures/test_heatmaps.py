from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from suite.report.figures.heatmaps import Heatmap, Scale, draw

SVG = "{http://www.w3.org/2000/svg}"
SCALE = Scale("cosine similarity", 0, 1)


def maps(count: int) -> list[Heatmap]:
    return [Heatmap(f"layer {number + 1}", np.full((2, 3), number / count), (1, 2)) for number in range(count)]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("count", [1, 4, 5, 13])
def test_there_is_a_panel_for_each_map_in_rows_of_four(count: int) -> None:
    drawing = draw(maps(count), "a <title> & $x$", "below", SCALE, "maps")
    root = ET.fromstring(drawing.svg)
    texts = {str(element.text) for element in root.iter(f"{SVG}text")}
    assert {
        "a <title> & $x$",
        "below",
        "cosine similarity",
        *(f"layer {number + 1}" for number in range(count)),
    } <= texts
    assert len(list(root.iter(f"{SVG}image"))) == count + 1  # and the colour bar
    boxes = [element.attrib for element in root.iter(f"{SVG}image")][:-1]
    columns = {round(float(box["x"])) for box in boxes}
    assert len(columns) == min(count, 4)
    assert boxes[0]["width"] == boxes[-1]["width"]
    heights = [pixels(draw(maps(number), "a", "b", SCALE, "maps").png).shape[0] for number in (1, 5, count)]
    assert heights[2] - heights[0] == (heights[1] - heights[0]) * ((count - 1) // 4)


def test_the_same_input_gives_the_same_bytes() -> None:
    first, again = (draw(maps(3), "title", "below", SCALE, "maps") for _ in range(2))
    assert first == again
    assert "<dc:date" not in first.svg
    assert b"Software" not in first.png


def test_all_panels_share_one_scale() -> None:
    """The same number has the same colour in every panel, and the ends are the ends of the colours."""
    values = np.array([[0.0, 0.5, 1.0]])
    dark, teal, yellow = (np.array(colour) for colour in ((68, 1, 84), (33, 145, 140), (253, 231, 37)))  # viridis
    image = pixels(draw([Heatmap("a", values), Heatmap("b", values[:, ::-1])], "t", "b", SCALE, "maps").png)
    row = image[image.shape[0] * 2 // 3]
    left, right = row[:350], row[350:690]
    for panel in (left, right):
        for colour in (dark, teal, yellow):
            assert (np.abs(panel - colour).max(axis=1) <= 3).sum() > 90, colour
    assert np.abs(row[25] - dark).max() <= 3
    assert np.abs(row[364] - yellow).max() <= 3


def test_the_png_is_opaque_and_white_around_the_panels() -> None:
    assert pixels(draw(maps(2), "title", "below", SCALE, "maps").png)[0, 0].tolist() == [255, 255, 255]
    assert Image.open(io.BytesIO(draw(maps(2), "title", "below", SCALE, "maps").png)).getpixel((0, 0))[3] == 255  # type: ignore[index]
