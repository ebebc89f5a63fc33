"""The position correlation of timm's models: that of the terms that their blocks get, whatever the names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize, pad

from suite.errors import InputError
from suite.models import create_model
from suite.models.inspection import inspect

BODY: dict[str, Any] = {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 4}
MODELS = {
    "vit_tiny_patch16_224": BODY,
    "deit_tiny_distilled_patch16_224": BODY,
    "deit3_small_patch16_224": BODY,  # its class token has no position
    "eva02_tiny_patch14_224": {**BODY, "global_pool": "token"},
}


def timm(model: str, join: str, **sizes: Any) -> Any:
    torch.manual_seed(0)
    made: Any = create_model("timm", model=model, join=join, num_classes=3, image_size=16, **sizes)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return made


@pytest.mark.parametrize("model", MODELS)
def test_without_a_join_it_is_of_the_position_through_each_blocks_norm(model: str) -> None:
    made = timm(model, "default", **MODELS[model])
    network, omega = made.network, made.network.pos_embed.double()
    omega = omega if not network.no_embed_class else pad(omega, (0, 0, network.num_prefix_tokens, 0))
    found = inspect(made)
    assert found.through_norm
    for layer, block in zip(found.correlations, network.blocks, strict=True):
        term = (block.norm1.weight * (omega - omega.mean(-1, keepdim=True)))[0, network.num_prefix_tokens :]
        unit = normalize(term, dim=1)
        np.testing.assert_allclose(layer.matrix, (unit @ unit.T).detach().numpy(), atol=1e-9)
        assert layer.grid == (4, 4)


@pytest.mark.parametrize("model", MODELS)
def test_with_lape_it_is_of_each_blocks_own_term(model: str) -> None:
    made = timm(model, "lape", **MODELS[model])
    network: Any = made.network
    caught: list[torch.Tensor] = []
    for one in network.position.maps:
        one.register_forward_hook(lambda _, inputs, output: caught.append(output))
    made.eval()(torch.randn(1, 3, 16, 16))
    found = inspect(made)
    assert not found.through_norm
    terms = caught[: len(network.blocks)]
    for layer, term in zip(found.correlations, terms, strict=True):
        unit = normalize(term[0, network.num_prefix_tokens :].double(), dim=1)
        np.testing.assert_allclose(layer.matrix, (unit @ unit.T).detach().numpy(), atol=1e-5)


def test_what_it_cant_draw_is_told() -> None:
    swin = {"model": "swin_tiny_patch4_window7_224", "patch_size": 2, "embed_dim": 8, "depths": [1, 1],
            "num_heads": [1, 2], "window_size": 4}  # fmt: skip
    for sizes, message in (
        (swin, "timm's SwinTransformer, whose positions this doesn't know"),
        ({"model": "resnet10t"}, "timm's ResNet, whose positions this doesn't know"),
        (
            {**BODY, "model": "vit_tiny_patch16_224", "pre_norm": True},
            "a norm between the position and the first block",
        ),
    ):
        pe = "learnable" if "pre_norm" in sizes else "none"
        with pytest.raises(InputError) as caught:
            inspect(create_model("timm", pe=pe, num_classes=3, image_size=16, **sizes))
        assert message in str(caught.value)
