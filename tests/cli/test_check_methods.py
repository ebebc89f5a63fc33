"""`lape check --methods FILE`: what is wrong with a method is told before any training."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.grid.methods import loaded_files, unload
from suite.models.architectures import FAMILIES
from tests.cli.shell import Shell
from tests.conftest import REPOSITORY

HEAD = """import torch
from suite.methods import Terms, architecture, join, norm, position
from suite.models.families.deit import DeiT
from suite.models.normalisers.plain import TokenNorm

"""
GOOD = """@join()
def mine(tables, maps):
    return Terms(stream=[tables[0] / 2] * len(maps), omega=tables[0])

@position()
def rows(grid, prefix, width):
    import numpy as np
    return np.ones((prefix + grid[0] * grid[1], width), dtype=np.float32)

@norm()
class Doubled(TokenNorm):
    def __init__(self, width, *, heads, grid):
        super().__init__(width)

    def forward(self, x):
        return self.affine(x * 2)

@architecture(prefix=1, defaults={"qkv_bias": True, "norm_eps": 1e-6, "drop_path": 0.0, "attn_drop": 0.0})
class MyViT(DeiT):
    pass
"""
JOIN = "@join()\ndef mine(tables, maps):\n    {}\n"
# Called while timm's models are asked whether they fit.
MAPPED = "from suite.methods import LAYER_NORM\n@join(block_map=LAYER_NORM)\ndef mine(tables, maps):\n    raise {}\n"
NORM = (
    "@norm()\nclass Mine(TokenNorm):\n    def __init__(self, width, *, heads, grid):\n        super().__init__(width)\n"
    "    def forward(self, x):\n        return {}\n"
)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "my_trick.py"
    unload(loaded_files())


def test_good_levels_are_tried_in_every_family_that_they_fit(lape: Shell, path: Path) -> None:
    path.write_text(HEAD + GOOD)
    out = lape("check", "--methods", path)
    assert lape.code == 0, lape.err
    others = ("segmenter", "semantic", "regions", "myvit")
    tried = [name for name in FAMILIES if not any(other in name for other in others)]
    names = [name for name in tried if FAMILIES[name].norm == "ln"]
    transformers, of_images = (", ".join(n for n in names if "sequence" not in n or n in kept) for kept in (names, ()))
    assert out.splitlines() == [
        f"pe rows: built and trained a step in {transformers}, myvit",
        f"join mine: built and trained a step in {transformers}, myvit",
        f"norm doubled: built and trained a step in {of_images}, myvit",  # of padding it knows nothing
        "arch myvit: built and trained a step in myvit",
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (JOIN.format("return Terms(stem=tables[1])"), 8, "IndexError"),
        (JOIN.format("raise SystemExit(0)"), 8, "SystemExit: 0"),
        (MAPPED.format("SystemExit(0)"), 9, "SystemExit: 0"),
        (MAPPED.format("KeyError('x')"), 9, "KeyError: 'x'"),
        (JOIN.format("return Terms(stem=tables[0])"), 7, "a level without effect"),
        (JOIN.format("return Terms(stem=tables[0] + torch.rand(()), omega=tables[0])"), 7, "isn't deterministic"),
        (JOIN.format("return Terms(stem=tables[0][:, :2])"), 7, "must match the size of tensor"),
        (NORM.format("self.weight * x * 2"), 7, "blocks.0.norm1.bias, blocks.0.norm2.bias"),
        (NORM.format("self.affine(x / 0)"), 7, "output isn't finite"),
        (NORM.format("x[:, :, :2]"), 7, "can't be built or trained"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(lape: Shell, path: Path, text: str, line: int, message: str) -> None:
    path.write_text(HEAD + text)
    told = lape.refuses("check", "--methods", path)
    assert message in told
    assert f"{path}:{line}" in told
    assert "mine: a level" in told or "mine: parameters" in told
    assert len(told) < 4000


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("return Terms(branch=[tables[0]] * (len(maps) + 1), omega=tables[0])", ("`branch` has a wrong", "per block")),
        ("return Terms(inside=[tables[0]], omega=tables[0])", ("`inside` has a wrong", "or none")),
        ("return Terms(branch=[tables[0]] * len(maps))", ("no position to join", "return omega")),
        ("return tables[0]", ("expected:   `Terms(…)`", "found:      Parameter", "Terms(stem=tables[0])")),
        ("Terms(stem=tables[0])", ("expected:   `Terms(…)`", "found:      None")),
    ],
)
def test_terms_must_be_one_per_block_and_go_on_in_the_next_stage(
    lape: Shell, path: Path, text: str, messages: tuple[str, ...]
) -> None:
    path.write_text(HEAD + JOIN.format(text))
    told = lape.refuses("check", "--methods", path)
    assert all(message in told for message in messages)
    assert "join mine: join" not in told
    assert "AttributeError" not in told


PAGE = (REPOSITORY / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"<!-- position -->\n\n```python\n(.*?)```", PAGE, re.DOTALL)


def test_positions_of_ones_own_act_in_every_family_with_their_site(lape: Shell, path: Path) -> None:
    """The example of the documentation: each of its two levels takes at most twenty lines. CeiT has them too."""
    assert EXAMPLE is not None
    path.write_text(EXAMPLE[1])
    assert all(len(level.splitlines()) <= 17 for level in EXAMPLE[1].split("@position")[1:])
    out = lape("check", "--methods", path).splitlines()
    assert lape.code == 0, lape.err
    tried = [name for name in FAMILIES if not any(other in name for other in ("segmenter", "semantic", "regions"))]
    names = [name for name in tried if "block_output" in FAMILIES[name].sites]
    assert "ceit" in names
    assert out[1] == f"pe conv5: built and trained a step in {', '.join(names)}"
    names.remove("t2t_vit")  # one patch, which no rotation tells from another
    assert out[0] == f"pe rope_diagonal: built and trained a step in {', '.join(names)}"


@pytest.mark.parametrize(
    ("base", "body", "message"),
    [
        ("Rotation", "return torch.zeros(1, self.place.head_width // 2).expand(PATCHES, -1)", "without effect"),
        ("Rotation", "return torch.ones(3, 3)", "can't be built or trained"),
        ("Bias", "return torch.full((self.place.heads, 1, 1), float('nan'))", "isn't finite"),
        ("AfterBlock", "return patches", "without effect"),
        ("object", "return None", "acts at no site"),
    ],
)
def test_a_position_of_ones_own_that_does_nothing_or_harm(
    lape: Shell, path: Path, base: str, body: str, message: str
) -> None:
    given = "self, patches" if base == "AfterBlock" else "self"
    path.write_text(
        "import torch\nfrom suite.methods import AfterBlock, Bias, Rotation, position\n\n"
        f"@position()\nclass mine({base}):\n"
        "    def __init__(self, place):\n        super().__init__(place)\n"
        f"    def forward({given}):\n        {body.replace('PATCHES', 'self.place.grid[0] * self.place.grid[1]')}\n"
    )
    told = lape.refuses("check", "--methods", path)
    assert message in told
    assert f"{path}:" in told


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ("watched and (x, Tokens(x, [x[:, :2]] * len(watched), x)) or x", "(4, 2) after the last block"),
        ("watched and (x, Tokens(x, (), x)) or x", "tokens after 0 of 3 watched blocks"),
        ("x", ""),
    ],
)
def test_patch_tokens_of_an_architecture_of_ones_own(lape: Shell, path: Path, shown: str, message: str) -> None:
    """What a run would stumble over after the first epoch."""
    path.write_text(
        "import torch\nfrom suite.methods import Model, Rules, Tokens, architecture\n\n"
        "@architecture(defaults={'qkv_bias': True, 'norm_eps': 1e-6})\nclass mine(Model):\n"
        "    rules = Rules(position_std=0.02, class_token_std=0.02, convolution='default')\n"
        "    def __init__(self, *levels, num_classes, **shape):\n"
        "        super().__init__(*levels, num_classes=num_classes, **shape)\n"
        "        self.head = torch.nn.Linear(3, num_classes)\n"
        "    def forward(self, images, watched=()):\n        x = self.head(images.mean((2, 3)))\n"
        f"        return {shown}\n"
    )
    if not message:
        assert "arch mine: built and trained a step in mine" in lape("check", "--methods", path)
        return
    told = lape.refuses("check", "--methods", path)
    assert "arch mine: an architecture that shows other patch tokens than its blocks'" in told
    assert message in told
    assert f"{path}:5" in told


def test_nothing_to_check(lape: Shell) -> None:
    assert "nothing to check" in lape.refuses("check")


LOSS = """import torch
from suite.methods import loss

@loss({options})
def mine(first, labels, smoothing):
    return {value}
"""


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ("sees='logits'", "first.square().mean()"),
        ("sees='logits', replaces=True", "-(labels * first.log_softmax(1)).sum(1).mean() * 2"),
        ("weight='cosine_weight'", "first.last.square().mean()"),
    ],
)
def test_losses_are_tried_too(lape: Shell, path: Path, options: str, value: str) -> None:
    path.write_text(LOSS.format(options=options, value=value))
    out = lape("check", "--methods", path)
    assert lape.code == 0, lape.err
    assert out.startswith("loss mine: built and trained a step in deit, vit, ")
    assert ("resnet" in out) == ("logits" in options)


@pytest.mark.parametrize(
    ("value", "line", "message"),
    [
        ("first.square()", 5, "a loss that isn't a number"),
        ("first.mean() / 0 * 0", 5, "a loss that isn't finite"),
        ("first.missing", 6, "has no attribute 'missing'"),
        ("first.mean() + torch.rand(())", 5, "a loss that isn't deterministic"),
        ("first.sum() * 0", 5, "a loss without effect"),
    ],
)
def test_what_is_wrong_with_a_loss_is_told_with_its_line(
    lape: Shell, path: Path, value: str, line: int, message: str
) -> None:
    path.write_text(LOSS.format(options="sees='logits'", value=value))
    told = lape.refuses("check", "--methods", path)
    assert message in told
    assert f"{path}:{line}" in told
