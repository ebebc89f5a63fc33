"""Teachers: from a file of weights into the data root, and out of it to a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch

from suite.data.datasets import DATASETS
from suite.data.preparation import prepare
from suite.errors import InputError
from suite.grid.recipe import Recipe
from suite.train.teachers import add_teacher, load_teacher
from tests.cli.shell import Shell

NAME = "test_resnet"
DIGITS = DATASETS["digits"]


def build(name: str = NAME, **arguments: Any) -> torch.nn.Module:
    model: torch.nn.Module = timm.create_model(name, **{"num_classes": 10, "in_chans": 1, **arguments})
    return model


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    return build().state_dict()


@pytest.fixture
def file(state: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    return path


def recipe(teacher: str, checksum: str) -> Recipe:
    return Recipe(
        version=1, epochs=1, batch_size=1, lr=1.0, distillation="soft", teacher=teacher, teacher_sha256=checksum
    )


def test_there_and_back(state: dict[str, torch.Tensor], file: Path, tmp_path: Path) -> None:
    added, checksum, path = add_teacher(NAME, tmp_path, file)
    assert (added.num_classes, added.channels) == (10, 1)
    assert path == tmp_path / "teachers" / NAME / f"{checksum}.safetensors"
    drawn = torch.random.get_rng_state()
    model = load_teacher(recipe(NAME, checksum), DIGITS, tmp_path)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert model is not None
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    found = model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in found.items())


def test_a_recipe_that_does_not_distil_has_none(tmp_path: Path) -> None:
    assert load_teacher(Recipe(version=1, epochs=1, batch_size=1, lr=1.0), DIGITS, tmp_path) is None


def test_the_same_weights_from_any_file_have_one_checksum(
    state: dict[str, torch.Tensor], file: Path, tmp_path: Path
) -> None:
    files = [file, *(tmp_path / name for name in ("a.pth", "b.tar", "c.safetensors", "d.pth"))]
    torch.save({"model": state, "epoch": 9}, files[1])
    torch.save({"state_dict": state}, files[2], _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(state, files[3], metadata={"of": "somebody"})
    torch.save(dict(reversed(state.items())), files[4])
    found = [add_teacher(NAME, tmp_path / str(index), file) for index, file in enumerate(files)]
    assert len({checksum for _, checksum, _ in found}) == 1
    assert len({path.read_bytes() for _, _, path in found}) == 1
    torch.save({**state, "fc.bias": state["fc.bias"] + 1e-6}, file)
    assert add_teacher(NAME, tmp_path, file)[1] != found[0][1]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("test_resnet.r160_in1k", {"num_classes": 100, "in_chans": 3}, (100, 3)),
        ("test_vit", {"num_classes": 7}, (7, 1)),
        ("test_convnext", {}, (10, 1)),
        ("deit_tiny_distilled_patch16_224", {}, (10, 1)),  # two heads
    ],
)
def test_classes_and_channels_are_those_of_the_weights(
    tmp_path: Path, name: str, arguments: dict[str, int], expected: tuple[int, int]
) -> None:
    torch.save(build(name, **arguments).state_dict(), tmp_path / "weights.pth")
    added, _, _ = add_teacher(name, tmp_path, tmp_path / "weights.pth")
    assert (added.num_classes, added.channels) == expected
    assert added.model(torch.zeros(1, expected[1], 224, 224)).shape == (1, expected[0])


def test_which_weights_of_a_file_are_a_teachers(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """timm takes the averaged ones of a file of its own, and so do we; the user may choose."""
    file, averaged = tmp_path / "weights.pth", {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"epoch": 3, "state_dict": state, "state_dict_ema": averaged}, file)
    reference = timm.create_model(NAME, num_classes=10, in_chans=1)
    timm.models.load_checkpoint(reference, str(file), use_ema=True)  # type: ignore[attr-defined]
    added, _, _ = add_teacher(NAME, tmp_path, file)
    assert torch.equal(added.model.state_dict()["fc.bias"], reference.state_dict()["fc.bias"])
    assert added.weights == "those under 'state_dict_ema'; also there: 'state_dict' (choose by --weights-key)"
    raw, _, _ = add_teacher(NAME, tmp_path, file, "state_dict")
    assert torch.equal(raw.model.state_dict()["fc.bias"], state["fc.bias"])


def test_the_command_says_which_weights_it_took(lape: Shell, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"state_dict": state, "state_dict_ema": {name: tensor + 1 for name, tensor in state.items()}}, file)
    command = ("data", "teacher", NAME, "--from", file, "--data", tmp_path)
    told = [lape(*command, *more).splitlines() for more in ([], ["--weights-key", "state_dict"])]
    assert lape.code == 0, lape.err
    assert told[0][0].startswith("weights: those under 'state_dict_ema'; also there: 'state_dict'")
    assert told[1][0].startswith("weights: those under 'state_dict'; also there: 'state_dict_ema'")
    assert told[0][-1] != told[1][-1]  # the checksums
    assert "one of: 'state_dict', 'state_dict_ema'" in lape.refuses(*command, "--weights-key", "x")


class TestBadInput:
    @pytest.mark.parametrize(
        "change",
        [
            {"fc.weight": torch.ones(10**7, 1), "fc.bias": torch.ones(10**7)},
            {"conv1.0.weight": torch.ones(1, 10**7, 1, 1)},
        ],
    )
    def test_a_small_file_builds_no_enormous_model(
        self, state: dict[str, Any], tmp_path: Path, change: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        torch.save({**state, **change}, tmp_path / "weights.pth")
        create = timm.create_model

        def bounded(name: str, **arguments: Any) -> torch.nn.Module:
            assert max(arguments["num_classes"], arguments["in_chans"]) < 10**6
            return create(name, **arguments)

        monkeypatch.setattr(timm, "create_model", bounded)
        with pytest.raises(InputError, match="not the weights of 'test_resnet'"):
            add_teacher(NAME, tmp_path, tmp_path / "weights.pth")

    @pytest.mark.parametrize("shape", [(), (0,), (10**9, 0)])
    def test_a_classifier_of_an_impossible_shape(
        self, state: dict[str, Any], tmp_path: Path, shape: tuple[int, ...]
    ) -> None:
        torch.save({**state, "fc.weight": torch.ones(shape)}, tmp_path / "weights.pth")
        with pytest.raises(InputError, match="not the weights of 'test_resnet'"):
            add_teacher(NAME, tmp_path, tmp_path / "weights.pth")

    def test_names(self, file: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="did you mean test_resnet"):
            add_teacher("test_rsnet", tmp_path, file)
        with pytest.raises(InputError, match="list_models"):
            add_teacher("/etc/§§§§", tmp_path, file)
        with pytest.raises(InputError, match="Invalid pretrained tag"):
            add_teacher(f"{NAME}.mine", tmp_path, file)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"conv1.0.weight": None}, "Missing key.*conv1.0.weight"),
            ({"more": torch.ones(1)}, "Unexpected key.*more"),
            ({"fc.bias": torch.ones(9)}, "size mismatch for fc.bias"),
            ({"fc.weight": None}, "a classifier"),
        ],
    )
    def test_weights_of_another_model(
        self, state: dict[str, Any], tmp_path: Path, change: dict[str, torch.Tensor | None], told: str
    ) -> None:
        changed = {name: value for name, value in {**state, **change}.items() if value is not None}
        torch.save(changed, tmp_path / "weights.pth")
        with pytest.raises(InputError, match="not the weights of 'test_resnet'") as caught:
            add_teacher(NAME, tmp_path, tmp_path / "weights.pth")
        assert caught.match(told)
        assert not (tmp_path / "teachers").exists()

    def test_a_model_without_a_classifier(self, tmp_path: Path) -> None:
        torch.save(build(num_classes=0).state_dict(), tmp_path / "weights.pth")
        with pytest.raises(InputError, match="a classifier"):
            add_teacher(NAME, tmp_path, tmp_path / "weights.pth")

    def test_a_download_without_a_network(self, lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As with HF_HUB_OFFLINE=1, which the hub's client reads when it is imported."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        told = lape.refuses("data", "teacher", "test_resnet.r160_in1k", "--data", tmp_path)
        assert "can't be downloaded" in told
        assert "--from FILE" in told

    def test_a_model_without_pretrained_weights(self, tmp_path: Path) -> None:
        name = "convnext_atto_rms"
        assert not timm.get_pretrained_cfg(name).has_weights  # or this test would ask the network
        with pytest.raises(InputError, match="No pretrained weights"):
            add_teacher(name, tmp_path)

    def test_a_teacher_that_is_not_prepared(self, file: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="run: lape data teacher test_resnet --from FILE"):
            load_teacher(recipe(NAME, "0" * 64), DIGITS, tmp_path)
        _, checksum, _ = add_teacher(NAME, tmp_path, file)
        with pytest.raises(InputError, match=f"found: +weights with the SHA-256 {checksum}"):
            load_teacher(recipe(NAME, "0" * 64), DIGITS, tmp_path)

    @pytest.mark.parametrize(("place", "told"), [(-1, "SHA-256"), (3, "a file of safetensors")])
    def test_a_teacher_that_is_damaged(self, file: Path, tmp_path: Path, place: int, told: str) -> None:
        _, checksum, path = add_teacher(NAME, tmp_path, file)
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"damaged on disk\n.*{told}"):
            load_teacher(recipe(NAME, checksum), DIGITS, tmp_path)
        add_teacher(NAME, tmp_path, file)
        assert load_teacher(recipe(NAME, checksum), DIGITS, tmp_path) is not None

    @pytest.mark.parametrize(
        ("dataset", "told"),
        [
            ("cifar10", "other input channels than the data set cifar10"),
            ("cifar100", "other classes than the data set cifar100"),
        ],
    )
    def test_a_teacher_of_other_data(self, file: Path, tmp_path: Path, dataset: str, told: str) -> None:
        _, checksum, _ = add_teacher(NAME, tmp_path, file)
        with pytest.raises(InputError, match=told):
            load_teacher(recipe(NAME, checksum), DATASETS[dataset], tmp_path)

    def test_a_teacher_of_larger_images(self, tmp_path: Path) -> None:
        torch.save(build("test_vit").state_dict(), tmp_path / "weights.pth")
        _, checksum, _ = add_teacher("test_vit", tmp_path, tmp_path / "weights.pth")
        with pytest.raises(InputError, match="can't see the images of digits"):
            load_teacher(recipe("test_vit", checksum), DIGITS, tmp_path)

    def test_no_data_set_takes_the_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="not 'teachers'"):
            prepare("teachers", root=tmp_path, source=tmp_path)
