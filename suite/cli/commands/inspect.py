"""`lape inspect`: the position correlation of a trained model, layer by layer."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from suite.errors import InputError
from suite.grid.documents import Document
from suite.models import load_reference
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.inspection import Inspection, Layer, all_pairs, difference, inspect, neighbours, token_map
from suite.models.model import Model
from suite.models.model_cell import ModelCell, Shape
from suite.models.sizes import Grid
from suite.models.weights.checkpoint import read_checkpoint
from suite.models.weights.reading import read_weights
from suite.models.weights.unwrapping import listed
from suite.report.figures.heatmaps import Heatmap, Scale, draw
from suite.store.files import write_atomic


@dataclass(frozen=True)
class Published:
    """The options that describe a published checkpoint; None for an option that isn't given."""

    source: str | None = None
    arch: str | None = None
    pe: str | None = None
    join: str | None = None
    classes: int | None = None
    image_size: int | None = None
    sizes: Sequence[str] = field(default=())
    weights_key: str | None = None


def inspect_checkpoint(
    path: Path, published: Published, out: Path | None, token: str | None, low: float | None
) -> Iterator[str]:
    """Draw the position correlation of a model, and yield lines that summarise it.

    Args:
        path: the file of weights.
        published: the options that describe the model, for a published file.
        out: the folder of the drawings.
        token: the token whose map is drawn, as "ROW,COLUMN" in the first layer's grid; None: the centre.
        low: the lower end of the colour scale; None: 0, −0.5 or −1, the highest with no similarity below it.

    Raises:
        InputError: the file can't be read, or there is nothing to draw.
    """
    model, cell, origin = _load(path, published)
    try:
        found = inspect(model)
    except InputError as error:
        raise error.at(str(path)) from None
    grid = (found.correlations or found.biases)[0].grid
    asked = (grid[0] // 2, grid[1] // 2) if token is None else _parse_token(token, grid)
    folder = out or Path("reports") / "inspect" / path.stem
    title = f"{listed([cell.arch.name])} · {cell.pe} · {cell.join}"
    yield f"{title}{origin.trial}"
    if origin.weights:
        yield f"weights: {origin.weights}"
    yield from _table(found.correlations)
    yield from _notes(found)
    for file, content in _files(title, found, asked, low):
        write_atomic(folder / file, content)
        yield str(folder / file)


class _Origin(NamedTuple):
    """The origin of weights as text: the trial, or the selected weights of a published file."""

    trial: str = ""
    weights: str = ""


def _load(path: Path, published: Published) -> tuple[Model, ModelCell, _Origin]:
    """Load the model of a file, and return it with its cell and the origin of its weights."""
    own = read_checkpoint(path)
    told = published != Published()
    if own is not None:
        if told:
            raise InputError(
                "this file says itself which model it holds",
                expected="no option that describes a model",
                found="--source, --arch, --pe, --join, --classes, --image-size, --set or --weights-key",
                where=str(path),
                fix="leave these options out",
            )
        trial = f" · {listed([own.dataset])} · trial {listed([own.trial_id])}"
        return own.model, own.cell, _Origin(trial=trial)
    if published.arch is None or published.source is None:
        raise InputError(
            "this file doesn't say which model it holds",
            expected="a file of `lape run --keep-weights`, or options that say it",
            found=f"--arch {published.arch or 'not given'}, --source {published.source or 'not given'}",
            where=str(path),
            fix="for instance --source lape-deit --arch deit_tiny --pe learnable --join lape --classes 1000",
        )
    try:
        sizes = Document(path, {})
        for assignment in published.sizes:
            sizes.override(assignment)
        arch = resolve_architecture(published.arch, sizes.values)
        shape = Shape(published.classes or 1000, published.image_size or 224)
        cell = ModelCell(arch, published.pe or "learnable", published.join or "default", arch.norm, shape)
        model = build_model(cell)
        weights = read_weights(path, published.weights_key)
        load_reference(model, weights.state, published.source)
    except InputError as error:
        raise error.at(str(path)) from None
    return model, cell, _Origin(weights=weights.told)


def _parse_token(text: str, grid: Grid) -> Grid:
    row, comma, column = text.partition(",")
    try:
        token = int(row), int(column)
        if 0 <= token[0] < grid[0] and 0 <= token[1] < grid[1] and comma:
            return token
    except ValueError:
        pass
    raise InputError(
        f"no token {text!r}",
        expected=f"ROW,COLUMN from 0,0 to {grid[0] - 1},{grid[1] - 1}",
        found=repr(text),
        where=f"--token {text}",
        fix=f"{grid[0] // 2},{grid[1] // 2} is the centre",
    )


def _table(layers: Sequence[Layer]) -> Iterator[str]:
    heads = ("neighbours", "all pairs", "change")
    width = max((len(layer.name) for layer in layers), default=0)
    if layers:
        yield "  ".join([" " * width, *heads])
    first: dict[Grid, Layer] = {}  # the first layer of each stage
    for layer in layers:
        start = first.setdefault(layer.grid, layer)
        numbers = neighbours(layer), all_pairs(layer), difference(layer, start)
        texts = ("–" if math.isnan(number) else f"{number:z.3f}".replace("-", "−") for number in numbers)
        cells = (f"{text:>{len(head)}}" for head, text in zip(heads, texts, strict=True))
        yield "  ".join([f"{layer.name:<{width}}", *cells])


def _notes(found: Inspection) -> Iterator[str]:
    if found.correlations:
        yield (
            "mean cosine similarity of two patches' positional terms: neighbours in a row or column, all pairs; and how"
            " much a pair's has changed since the stage's first layer, in the mean of absolute values"
        )
        yield (
            "positional term: γ (ω − mean ω), what the block's LayerNorm makes of the position (Eq. 6–7)"
            if found.through_norm
            else "positional term: what joins after the block's LayerNorm (LaPE: ω of Eq. 11)"
        )
    if found.rescaled:
        yield (
            "Eq. 6–7 as printed hold only approximately here: the residual stream itself is normalised (by norm2 in"
            " Compact Transformers, by Swin's mergings); ω is followed through that"
        )
    if found.approximate:
        yield (
            "approximate: positions join before and after such a normalisation, in a proportion that depends on the"
            " image; it is drawn for σ = 1"
        )


def _files(title: str, found: Inspection, token: Grid, low: float | None) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files to write: the drawings, and the matrices.

    Args:
        title: the title of the drawings.
        found: the correlations and biases.
        token: (row, column) in the first layer's grid.
        low: the lower end of the colour scale, see `inspect_checkpoint`.
    """
    grid = (found.correlations or found.biases)[0].grid
    drawings = []
    if found.correlations:
        whole = [Heatmap(layer.name, layer.matrix) for layer in found.correlations]
        maps = [_map(layer, token, grid) for layer in found.correlations]
        least = min(float(layer.matrix.min()) for layer in found.correlations)
        # The lower end is a multiple of 0.5, so that the figures of two models usually have the same colour scale.
        scale = Scale("cosine similarity", max(min(math.floor(2 * least) / 2, 0), -1) if low is None else low, 1)
        drawings += [
            ("matrices", whole, "position correlation of all pairs of patches", scale),
            ("maps", maps, "position correlation with the marked patch", scale),
        ]
    if found.biases:
        of_windows = found.biases[0].grid != grid  # a bias depends on the offset only: one patch of a window is enough
        maps = [_map(layer, *(((1, 1), (2, 2)) if of_windows else (token, grid))) for layer in found.biases]
        most = max(float(np.abs(heatmap.values).max()) for heatmap in maps) or 1.0
        scale = Scale("added to the scaled products, mean over heads", -most, most, "RdBu_r")
        drawings.append(("bias", maps, "bias of the marked patch's attention", scale))
    for name, panels, what, scale in drawings:
        drawing = draw(panels, title, what, scale, name)
        yield f"{name}.png", drawing.png
        yield f"{name}.svg", drawing.svg.encode()
    layers = {"correlation": found.correlations, "bias": found.biases}
    arrays = {f"{kind} {layer.name}": layer.matrix.astype(np.float32) for kind in layers for layer in layers[kind]}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{re.sub(r"\W+", "_", name): array for name, array in arrays.items()})
    yield "matrices.npz", buffer.getvalue()


def _map(layer: Layer, token: Grid, grid: Grid) -> Heatmap:
    """Return one token's row of the matrix, as a map over the layer's grid.

    Args:
        layer: the layer; its grid may be coarser than `grid`.
        token: (row, column) in `grid`. In a coarser stage, the token that covers this place is used.
        grid: the grid that `token` refers to.
    """
    row, column = (place * extent // whole for place, extent, whole in zip(token, layer.grid, grid, strict=True))
    return Heatmap(layer.name, token_map(layer, (row, column)), (row, column))
