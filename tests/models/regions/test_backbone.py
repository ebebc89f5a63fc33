from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from suite.errors import InputError
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.families.transformer import VisionTransformer
from suite.models.model_cell import ModelCell, Shape
from suite.models.regions.backbone import attention_weights, read_backbone
from suite.models.weights.checkpoint import write_checkpoint

SIZES = {
    **{"embed_dim": 24, "depth": 2, "num_heads": 3, "patch_size": 4, "mlp_ratio": 2.0},
    **{"qkv_bias": False, "norm_eps": 1e-5, "drop_path": 0.0, "attn_drop": 0.0},
}
TIMM = "vit_tiny_patch16_224"


def cell(arch: str = "vit", pe: str = "learnable", size: int = 16, **sizes: object) -> ModelCell:
    return ModelCell(resolve_architecture(arch, {**SIZES, **sizes}), pe, "default", "ln", Shape(3, size, 3))


def written(folder: Path, made: ModelCell) -> Path:
    torch.manual_seed(0)
    path = folder / "weights.safetensors"
    write_checkpoint(path, build_model(made), made, dataset="cifar10", trial_id="0" * 16)
    return path


@pytest.fixture(scope="module")
def timm_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("timm") / "weights.safetensors"
    save_file(timm.create_model(TIMM, pretrained=False).state_dict(), path)
    return path


@pytest.mark.parametrize("pe", ["learnable", "sin2d", "rope_mixed", "none"])
def test_features_are_the_models_own_tokens(tmp_path: Path, pe: str) -> None:
    path, images = written(tmp_path, cell(pe=pe)), torch.randn(3, 3, 16, 16)
    backbone = read_backbone(path, None, 16)
    features = backbone.features(images, batch_size=2)
    assert (backbone.name, backbone.dataset) == ("vit", "cifar10")
    assert features.patches.shape == (3, 16, 24)
    assert isinstance(backbone.model, VisionTransformer)
    with torch.no_grad():
        _, tokens = backbone.model(images, watched=(1,))
    torch.testing.assert_close(features.patches, tokens.normalised)
    # Over three heads, the class token's attention to itself and to the patches sums to 3.
    assert features.attention.shape == (3, 16)
    assert (features.attention.sum(dim=1) < 3).all()
    assert (features.attention > 0).all()


@pytest.mark.parametrize(("pe", "talking"), [("learnable", True), ("rope_mixed", False), ("rpe2d", False)])
def test_the_weights_are_those_of_the_layer(pe: str, talking: bool) -> None:
    """Weights times values, projected, are what the layer itself returns."""
    torch.manual_seed(0)
    model = build_model(cell("deit", pe=pe, qkv_bias=True, talking_heads=talking)).eval()
    assert isinstance(model, VisionTransformer)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
        seen = []
        layer = model.blocks[-1].attention
        layer.register_forward_hook(lambda layer, inputs, output: seen.append((inputs, output)))
        model(torch.randn(2, 3, 16, 16))
        ((x, at), output) = seen[0]
        shares = attention_weights(layer, x, at)
        mixed = (shares @ layer.project(x)[2]).transpose(1, 2).flatten(2)
        torch.testing.assert_close(layer.proj(mixed), output, rtol=1e-4, atol=1e-4)


def test_without_a_class_token_attention_is_the_mean_over_patches(tmp_path: Path) -> None:
    backbone = read_backbone(written(tmp_path, cell("cvt")), None, 16)
    attention = backbone.features(torch.randn(2, 3, 16, 16)).attention
    torch.testing.assert_close(attention.sum(dim=1), torch.full((2,), 3.0))


@pytest.mark.parametrize("arch", ["vit", "vit_late"])
def test_the_feature_of_an_image_is_its_class_token(tmp_path: Path, arch: str) -> None:
    """Its head gives the model's logits of it."""
    backbone, images = read_backbone(written(tmp_path, cell(arch, depth=3)), None, 16), torch.randn(3, 3, 16, 16)
    feature = backbone.image_features(images, batch_size=2)
    assert isinstance(backbone.model, VisionTransformer)
    with torch.no_grad():
        backbone.model.head.weight.normal_()
        torch.testing.assert_close(backbone.model.head(feature), backbone.model(images))


def test_without_a_class_token_it_is_the_mean_over_patches(tmp_path: Path) -> None:
    backbone, images = read_backbone(written(tmp_path, cell("cvt")), None, 16), torch.randn(3, 3, 16, 16)
    feature = backbone.image_features(images, batch_size=2)
    torch.testing.assert_close(feature, backbone.features(images).patches.mean(dim=1))


def test_a_learned_position_is_interpolated_for_another_size(tmp_path: Path) -> None:
    path = written(tmp_path, cell())
    small, large = read_backbone(path, None, 16), read_backbone(path, None, 32)
    assert large.features(torch.randn(1, 3, 32, 32)).patches.shape == (1, 64, 24)
    tables = [backbone.model.get_parameter("position.tables.0") for backbone in (small, large)]
    assert [table.shape[1] for table in tables] == [17, 65]
    torch.testing.assert_close(tables[1][:, 0], tables[0][:, 0])  # the class token's row
    torch.testing.assert_close(tables[1][:, 1:].mean(dim=1), tables[0][:, 1:].mean(dim=1), rtol=0.2, atol=0.02)


def test_a_fixed_position_is_computed_for_another_size(tmp_path: Path) -> None:
    large = read_backbone(written(tmp_path, cell(pe="sin2d")), None, 32)
    own = build_model(cell(pe="sin2d", size=32)).get_parameter("position.tables.0")
    assert torch.equal(large.model.get_parameter("position.tables.0"), own)


def test_a_table_of_offsets_takes_no_other_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images of another size") as error:
        read_backbone(written(tmp_path, cell(pe="rpe2d")), None, 32)
    assert "images of 16×16" in str(error.value)


def test_a_convolutional_network_is_refused(tmp_path: Path) -> None:
    made = ModelCell(
        resolve_architecture("resnet_cifar", {"blocks": 1, "channels": 4}), "none", "default", "bn", Shape(3, 16, 3)
    )
    with pytest.raises(InputError, match="gives no patch features"):
        read_backbone(written(tmp_path, made), None, 16)


def test_timms_features_are_its_own(timm_weights: Path) -> None:
    backbone, images = read_backbone(timm_weights, TIMM, 64), torch.randn(2, 3, 64, 64)
    features = backbone.features(images)
    assert backbone.mean == (0.5, 0.5, 0.5)
    model = backbone.model
    with torch.no_grad():
        model.blocks[-1].attn.fused_attn = True
        torch.testing.assert_close(features.patches, model.forward_features(images)[:, 1:], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(backbone.image_features(images), model.forward_head(model.forward_features(images)))
    assert features.attention.shape == (2, 16)
    assert (features.attention.sum(dim=1) < 3).all()


def test_timms_weights_of_another_model_are_refused(timm_weights: Path) -> None:
    with pytest.raises(InputError, match="these are not the weights of 'vit_small_patch16_224'"):
        read_backbone(timm_weights, "vit_small_patch16_224", 224)


@pytest.mark.parametrize("name", ["no_such_model", "resnet18", "swin_tiny_patch4_window7_224"])
def test_names_that_are_no_plain_vision_transformer_are_refused(name: str, timm_weights: Path) -> None:
    with pytest.raises(InputError, match=r"can't be used|gives no patch features"):
        read_backbone(timm_weights, name, 224)


def test_a_file_that_does_not_describe_its_model_needs_a_name(timm_weights: Path) -> None:
    with pytest.raises(InputError, match="doesn't describe its model"):
        read_backbone(timm_weights, None, 32)
    with pytest.raises(InputError, match="neither"):
        read_backbone(None, None, 32)
