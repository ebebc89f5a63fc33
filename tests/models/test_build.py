"""What `create_model` builds and what it refuses; the parts that only training uses."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import named_architectures, resolve_architecture
from suite.models.embedding import BlockTerms
from suite.models.layers.blocks import DropPath
from suite.models.layers.tokenizers import HIDDEN_PLANES
from suite.models.positions import POSITIONS
from suite.models.region_size import RegionSize
from suite.models.regions.grouping import Clusters, Prototypes
from suite.models.sequence_size import SequenceSize
from suite.models.sizes import Size, WindowSize


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "deit_tinny"}, r"unknown architecture 'deit_tinny'.*did you mean 'deit_tiny'"),
        ({"pe": "learnt"}, r"unknown pe 'learnt'.*did you mean 'learnable'"),
        ({"join": "lappe"}, r"unknown join 'lappe'.*did you mean 'lape'"),
        ({"norm": "l2bn"}, r"norm 'l2bn' is of feature maps, and deit is a transformer.*choose norm ln"),
        (
            {"arch": "resnet20", "norm": "ln", "pe": "none"},
            r"norm 'ln' is of tokens, and resnet20 is a convolutional network.*choose norm bn, l2bn, l2bn_rms$",
        ),
        (
            {"arch": "resnet20"},
            r"pe 'learnable' acts at tokens, a site that arch resnet20 doesn't have.*choose pe none$",
        ),
        ({"arch": "resnet18", "pe": "none", "join": "lape"}, r"nothing to join"),
        ({"arch": "resnet18", "pe": "none", "blocks": (2, 0, 2, 2)}, r"blocks must be at least 1 in each stage"),
        ({"norm": "lnn"}, r"unknown norm 'lnn'.*did you mean 'ln'"),
        (
            {"norm": "dtn"},
            r"leaves the last 2 blocks as they are, and deit has no more than 1.*choose norm ln, rmsnorm",
        ),
        (
            {"norm": "dtn", "arch": "ceit", "depth": 3, "patch_size": 2, "image_size": 16},
            r"tokens that fill a grid, and in ceit the class token is among them in every block.*with norm 'dtn'",
        ),
        (
            {"norm": "dtn", "depth": 3, "patch_size": 1, "image_size": 29},
            r"norm 'dtn' pools a grid of 29×29 tokens by 2, which doesn't divide it",
        ),
        (
            {"norm": "in", "arch": "cvt", "depth": 3, "patch_size": 15},
            r"norm 'in' takes its statistics over tokens, and cvt has one.*choose norm ln, dtn, .*gn",
        ),
        ({"patch_size": 4}, r"image size must be divisible by the patch size.*patch_size \(4\).*15×15"),
        ({"num_heads": 3}, r"width must be divisible by the number of heads.*num_heads \(3\).*embed_dim 28"),
        ({"mlp_ratio": 0.03}, r"no hidden channel.*embed_dim 28, mlp_ratio 0.03"),
        ({"pe": "sin2d", "embed_dim": 22}, r"width divisible by 4.*embed_dim 22"),
        (
            {"pe": "sin1d", "join": "unshared"},
            r"pe 'sin1d' is fixed.*pe 'sin1d' with join 'unshared'.*choose pe learnable, .*or choose join default",
        ),
        ({"pe": "none", "join": "lape"}, r"nothing to join"),
        ({"pe": "rpe2d", "join": "pe_scalar"}, r"nothing to join.*or choose join default$"),
        ({"pe": "none", "join": "shared"}, r"nothing to join"),
        ({"pe": "rope_mixed", "join": "lape", "num_heads": 1}, r"nothing to join"),
        ({"arch": "resnet20", "pe": "learnable+cpe"}, r"acts at tokens and block_output, a site that arch resnet20"),
        ({"pe": "rope2d"}, r"heads whose width is divisible by 4.*heads of 14 channels.*change embed_dim or num_heads"),
        ({"pe": "cpe"}, r"after its only block arch deit reads none.*depth of at least 2.*raise depth"),
        (
            {"pe": "learnable+alibi2d", "patch_size": 15},
            r"about offsets between patches, and attention of arch deit sees one patch.*choose pe none, learnable",
        ),
        ({"width": 5}, r"width: no key of this name"),
        ({"depth": 0}, r"depth: .*a number of at least 1"),
        ({"drop_path": 1.0}, r"drop_path"),
        ({"num_classes": 0}, r"num_classes can't be 0"),
        ({"image_size": 15.0}, r"image_size can't be 15.0"),
        ({"in_chans": True}, r"in_chans can't be True"),
        ({"arch": "cct"}, r"patch_size: no key of this name"),
        ({"arch": "swin_tiny"}, r"depth"),
    ],
)
def test_refusals(settings: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "arch": "deit", "patch_size": 5, "embed_dim": 28, "depth": 1, "num_heads": 2, "mlp_ratio": 1.5,
        "num_classes": 3, "image_size": 15,
    }  # fmt: skip
    if "resnet" in settings.get("arch", ""):
        good = {name: good[name] for name in ("num_classes", "image_size")}
    arguments = {"arch": "deit", **good, **settings}
    with pytest.raises(InputError, match=f"(?s){message}"):
        create_model(arguments.pop("arch"), **arguments)


def test_convolutions_that_leave_no_token() -> None:
    with pytest.raises(InputError, match="leave no token"):
        create_model("cct_7_3x2", num_classes=3, image_size=2, conv_padding=0)


def test_a_resolved_architecture_is_as_good_as_a_name() -> None:
    architecture = resolve_architecture("cct_2_3x2", {"depth": 3})
    with torch.device("meta"):
        named = create_model("cct_2_3x2", depth=4, num_classes=7, image_size=32)
        resolved = create_model(architecture, num_classes=7, image_size=32)
        changed = create_model(architecture, depth=4, num_classes=7, image_size=32)
    assert len(resolved.blocks) == 3
    assert resolved.architecture == architecture
    assert changed.architecture == named.architecture
    shapes = [{name: tuple(p.shape) for name, p in model.named_parameters()} for model in (named, changed)]
    assert shapes[0] == shapes[1]


TRANSFORMERS = [name for name in named_architectures() if isinstance(resolve_architecture(name).size, Size)]
SEQUENCES = [name for name in TRANSFORMERS if isinstance(resolve_architecture(name).size, SequenceSize)]
REGIONS = [name for name in TRANSFORMERS if isinstance(resolve_architecture(name).size, RegionSize)]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_named_size_can_be_built(name: str) -> None:
    side, of_tokens = 224 if "swin" in name else 64 if name in REGIONS else 32, name in SEQUENCES
    levels = {"pe": "sin1d" if of_tokens else "sin2d", "join": "lape", "norm": "ln"}
    with torch.device("meta"):
        model = create_model(name, **levels, num_classes=7, image_size=side, in_chans=1 if of_tokens else 3)
    size, prefix = model.architecture.size, model.architecture.family.prefix
    stages = size.depth if isinstance(size, WindowSize) else [size.depth]
    width = size.embed_dim * 2 ** (len(stages) - 1)
    if getattr(size, "mask_layers", 0):
        assert model.head.class_embedding.shape == (1, 7, width)
    elif name in REGIONS:
        assert isinstance(model.head, Prototypes if size.grouping == "dcn" else Clusters)
    else:
        assert model.head.weight.shape == (7, getattr(size, "head_dim", 0) or width)
    assert [len(position.maps) for position in model.positions()] == list(stages)
    rows, columns = size.token_grid(side)
    assert model.positions()[0].tables[0].shape == (1, prefix + rows * columns, size.embed_dim)


def test_the_convolutional_tokenizer(small: Any, images: Tensor) -> None:
    model = small("cct")
    first, second = model.tokenizer.convolutions
    assert (first.out_channels, second.in_channels, first.bias, second.bias) == (
        HIDDEN_PLANES,
        HIDDEN_PLANES,
        None,
        None,
    )
    x = images
    for convolution in (first, second):
        x = torch.conv2d(x, convolution.weight, None, 1, 1).clamp(min=0)
        padded = torch.nn.functional.pad(x, (1, 1, 1, 1), value=float("-inf"))
        x = padded.unfold(2, 3, 2).unfold(3, 3, 2).amax((-1, -2))
    assert x.shape == (5, 28, 4, 4)
    torch.testing.assert_close(model.tokenizer(images), torch.stack([x[..., p // 4, p % 4] for p in range(16)], 1))


def test_sequence_pooling_is_a_weighted_mean(small: Any) -> None:
    pool = small("cvt").pool
    x = torch.randn(3, 9, 28)
    scores = torch.exp(x @ pool.score.weight[0] + pool.score.bias)
    expected = sum(scores[:, token, None] * x[:, token] for token in range(9)) / scores.sum(1, keepdim=True)
    torch.testing.assert_close(pool(x), expected)


@pytest.mark.parametrize("arch", ["deit", "vit_lite"])
def test_the_class_token_comes_first_and_is_read_out(arch: str, small: Any, images: Tensor) -> None:
    model = small(arch).eval()
    with torch.no_grad():
        model.class_token.normal_()
        for block in model.blocks:  # blocks that add nothing
            for branch in (block.attention.proj, block.mlp.fc2):
                branch.weight.zero_()
        expected = model.class_token[0] + model.position.tables[0][:, 0]
        norms = [block.norm2 for block in model.blocks] if arch == "vit_lite" else []
        for norm in (*norms, model.norm):
            expected = norm(expected)
        torch.testing.assert_close(model(images), model.head(expected).repeat(5, 1))


def test_parameters_of_position_and_class_token(small: Any) -> None:
    names = {
        (arch, pe, join): small(arch, pe=pe, join=join).position_and_class_parameters()
        for arch, pe, join in [
            ("deit", "learnable", "lape"),
            ("cvt", "learnable", "default"),
            ("vit_lite", "learnable", "unshared"),
            ("cct", "none", "default"),
        ]
    }
    assert list(names.values()) == [
        {"class_token", "position.tables.0"},
        {"position.tables.0"},
        {"class_token", "position.tables.0", "position.tables.1", "position.tables.2"},
        set(),
    ]


@pytest.mark.parametrize("pe", ["sin1d", "sin2d"])
def test_a_fixed_table_is_a_frozen_parameter(pe: str, small: Any) -> None:
    frozen = {name for name, p in small("deit", pe=pe, join="lape").named_parameters() if not p.requires_grad}
    assert frozen == {"position.tables.0"}


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(2)
    count, rate = 20_000, 0.3
    nothing, ones = torch.zeros(count, 3, 5), torch.ones(count, 3, 5)
    dropped = DropPath(rate).train()(nothing, nn.Identity(), ones)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert torch.equal(dropped, dropped[:, :1, :1].expand_as(dropped))
    kept = (dropped[:, 0, 0] != 0).float().mean().item()
    assert kept == pytest.approx(0.7, abs=5 * (rate * (1 - rate) / count) ** 0.5)
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    x = torch.randn(4, 3, 5)
    assert torch.equal(DropPath(rate).eval()(x, nn.Identity(), x), 2 * x)
    assert torch.equal(DropPath(0.0).train()(x, nn.Identity(), x), 2 * x)


def test_drop_path_grows_linearly_from_zero(small: Any) -> None:
    rates = [block.drop_path.rate for block in small("cvt", depth=7, drop_path=0.1).blocks]
    assert rates == pytest.approx([0, 1 / 60, 2 / 60, 3 / 60, 4 / 60, 5 / 60, 0.1])
    assert small("cvt", depth=1, drop_path=0.1).blocks[0].drop_path.rate == 0


@pytest.mark.parametrize("arch", ["deit", "vit_lite", "cct"])
def test_drop_path_acts_on_both_branches(arch: str, small: Any) -> None:
    """A block that always drops them leaves the stream as it is, or normalised once in Compact Transformers."""
    x = torch.randn(5, 9, 28)
    for block in small(arch).train().blocks:
        block.drop_path.rate = 1 - 1e-12
        assert torch.equal(block(x, BlockTerms()), x if arch == "deit" else block.norm2(x))


@pytest.mark.parametrize("noise", [{"attn_drop": 0.5}, {"drop_path": 0.5}])
def test_dropout_acts_in_training_only(noise: dict[str, float], small: Any, images: Tensor) -> None:
    model = small("deit", **{"attn_drop": 0.0, "drop_path": 0.0, **noise})
    with torch.no_grad():
        assert not torch.equal(model(images), model(images))
        model.eval()
        assert torch.equal(model(images), model(images))


def test_two_joins_draw_the_same_dropout(small: Any, images: Tensor) -> None:
    """A contrast's two sides drop the same samples and attention weights at the same step."""
    states = []
    for join in ("default", "lape", "unshared"):
        model = small("vit_lite", join=join, attn_drop=0.2, drop_path=0.2)
        torch.manual_seed(4)
        model(images)
        states.append(torch.get_rng_state())
    assert all(torch.equal(state, states[0]) for state in states)


def test_a_model_can_be_copied(small: Any, images: Tensor) -> None:
    model = small("cvt", join="lape").eval()
    assert torch.equal(copy.deepcopy(model)(images), model(images))


@pytest.mark.parametrize("pe", list(POSITIONS))
@pytest.mark.parametrize("sizes", [{"attn_drop": 0.1}, {"talking_heads": True}], ids=["dropout", "talking heads"])
def test_every_position_trains_with_dropout_and_talking_heads(pe: str, sizes: dict[str, Any]) -> None:
    """Both go another way through attention than models without them."""
    model = create_model("vit_lite_2_4", pe=pe, num_classes=3, image_size=16, **sizes)
    model(torch.rand(2, 3, 16, 16)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
