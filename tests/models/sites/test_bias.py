"""What position embeddings add to attention's logits: symmetries, class tokens, and published sizes."""

from __future__ import annotations

import pytest
import torch

from suite.models import create_model
from suite.models.sites.bias import DistanceBias, ProductBias, RelativeBias, alibi_slopes
from suite.models.sites.site import Place


def test_alibi_slopes_of_a_power_of_two_and_of_other_numbers() -> None:
    """The values of ALiBi's released function."""
    assert alibi_slopes(1) == [2**-8]
    assert alibi_slopes(8) == [2.0**-power for power in range(1, 9)]
    assert alibi_slopes(3) == [2**-4, 2**-8, 2**-2]
    assert alibi_slopes(12) == [*(2.0**-power for power in range(1, 9)), 2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]


def test_alibi_is_symmetric_and_falls_with_the_distance() -> None:
    bias = DistanceBias(Place((3, 4), 1, 8, 2))()
    assert bias.shape == (2, 12, 12)
    assert torch.equal(bias, bias.transpose(1, 2))
    assert not bias.diagonal(dim1=1, dim2=2).any()
    turned_around = bias.flip(1, 2)  # the grid turned by half a circle
    assert torch.equal(bias, turned_around)
    torch.testing.assert_close(bias[0, 0, [1, 4, 5, 11]], -(2**-4) * torch.tensor([1, 1, 2**0.5, 13**0.5]))


@pytest.mark.parametrize("made", [RelativeBias, ProductBias])
def test_a_learned_bias_depends_on_the_offset_alone(made: type[RelativeBias] | type[ProductBias]) -> None:
    module = made(Place((3, 4), 0, 8, 2))
    with torch.no_grad():
        module.table.normal_()
        q = torch.randn(8 // 2).expand(1, 2, 12, -1)  # the same query everywhere
        bias = module() if isinstance(module, RelativeBias) else module(q)[0]
    grid = bias.unflatten(1, (3, 4)).unflatten(3, (3, 4))
    torch.testing.assert_close(grid[:, :2, :3, :2, :3], grid[:, 1:, 1:, 1:, 1:])
    assert not torch.allclose(bias, bias.transpose(1, 2))


@pytest.mark.parametrize("prefix", [1, 2])
def test_pairs_with_a_prefix_token_share_a_vector_of_irpe(prefix: int) -> None:
    module = ProductBias(Place((2, 2), prefix, 8, 2))
    assert module.table.shape == (4, 50)
    assert (module.index[:prefix] == 49).all()
    assert (module.index[:, :prefix] == 49).all()
    assert (module.index[prefix:, prefix:] < 49).all()
    assert ProductBias(Place((2, 2), 0, 8, 2)).table.shape == (4, 49)


@pytest.mark.parametrize("pe", ["rpe2d", "alibi2d"])
def test_prefix_tokens_have_no_bias(pe: str) -> None:
    sizes = {"embed_dim": 8, "num_heads": 2, "depth": 1, "mlp_ratio": 1.0, "patch_size": 4}
    model = create_model("deit_distilled", pe=pe, num_classes=2, image_size=8, **sizes)
    with torch.no_grad():
        for parameter in model.position.parameters():  # type: ignore[union-attr]
            parameter.fill_(1)
        (at,) = model.position().blocks  # type: ignore[operator]
    assert at.bias.shape == (2, 6, 6)
    assert not at.bias[:, :2].any()
    assert not at.bias[:, :, :2].any()
    assert at.bias[:, 2:, 2:].any()


def test_irpe_on_deit_tiny_has_the_published_number_of_parameters() -> None:
    """50 buckets of 64 channels in 12 layers, shared by the heads."""
    with torch.device("meta"):
        model = create_model("deit_tiny", pe="irpe_product", num_classes=1000, image_size=224)
    own = [value for name, value in model.named_parameters() if name.startswith("position.")]
    assert sum(value.numel() for value in own) == 38_400
