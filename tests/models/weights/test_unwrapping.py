"""Where the weights are in a checkpoint: wrappers, prefixes, and the user's choice."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from suite.errors import InputError
from suite.models.weights.unwrapping import WRAPPERS, find_weights

RAW = {"head.weight": torch.zeros(2, 3), "head.bias": torch.zeros(2)}
EMA = {name: tensor + 1 for name, tensor in RAW.items()}


def same(found: dict[str, Any], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def prefixed(prefix: str, state: dict[str, torch.Tensor] = RAW) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "wrapper", ["model", "state_dict", "state_dict_ema", "model_ema", "ema", "model_state_dict", "net"]
)
def test_wrappers(wrapper: str) -> None:
    assert wrapper in WRAPPERS
    found = find_weights({"epoch": 3, wrapper: RAW, "optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}}})
    assert same(found.state, RAW)
    assert (found.taken, found.others) == (wrapper, [])


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        (("state_dict", "state_dict_ema"), "state_dict_ema"),  # timm's files, and T2T-ViT's
        (("state_dict", "model_ema"), "model_ema"),
        (("model", "ema"), "ema"),
        (("model", "model_ema"), "model"),  # DeiT's, whose evaluation takes "model"
        (("model", "state_dict"), "state_dict"),
        (("state_dict", "model_state_dict", "net"), "state_dict"),
    ],
)
def test_which_of_several_is_taken_and_told(keys: tuple[str, ...], taken: str) -> None:
    for order in (keys, keys[::-1]):
        checkpoint = {key: EMA if key == taken else RAW for key in order}
        found = find_weights(checkpoint)
        assert same(found.state, EMA)
        assert found.taken == taken
        assert sorted(found.others) == sorted(set(keys) - {taken})
        assert repr(taken) in found.told
        assert "--weights-key" in found.told


@pytest.mark.parametrize("key", ["state_dict", "other", "deep.state", "a.b"])
def test_the_key_is_the_users_to_choose(key: str) -> None:
    checkpoint = {"state_dict_ema": RAW, "state_dict": RAW, "other": RAW, "deep": {"state": RAW}, "a.b": RAW}
    head, _, rest = key.partition(".")
    checkpoint |= {key: EMA} if key in checkpoint else {head: {rest: EMA}}
    found = find_weights(checkpoint, key)
    assert same(found.state, EMA)
    assert found.taken == key
    assert "state_dict_ema" in found.others


def test_a_chosen_key_may_hold_a_wrapper() -> None:
    found = find_weights({"state_dict": RAW, "student": {"state_dict": prefixed("module.", EMA)}}, "student")
    assert same(found.state, EMA)
    assert found.taken == "student.state_dict"


@pytest.mark.parametrize("checkpoint", [{"state_dict": RAW, "net": EMA}, RAW])
def test_a_key_that_is_not_there(checkpoint: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="the checkpoint has no such key") as caught:
        find_weights(checkpoint, "modle")
    assert ("'state_dict', 'net'" in str(caught.value)) == ("net" in checkpoint)


def test_unknown_keys_are_offered() -> None:
    with pytest.raises(InputError, match=r"choose by --weights-key .*: 'student', 'teacher'"):
        find_weights({"student": RAW, "teacher": EMA, "epoch": 3})


@pytest.mark.parametrize(
    "prefix",
    ["module.", "model.", "backbone.", "module.model.", "model.backbone.", "_orig_mod.module.", "module.module."],
)
def test_prefixes(prefix: str) -> None:
    assert same(find_weights({"state_dict": prefixed(prefix)}).state, RAW)
    found = find_weights({**prefixed(prefix), "epoch": 3}).state
    assert found.pop("epoch") == 3
    assert same(found, RAW)


def test_a_prefix_of_some_names_stays() -> None:
    state = {**prefixed("backbone."), "head.weight": torch.zeros(1)}
    assert same(find_weights(state).state, state)


@pytest.mark.parametrize("prefix", ["module.", "module.module.", "module._orig_mod."])
def test_the_count_of_an_averaged_model(prefix: str) -> None:
    assert same(find_weights({"n_averaged": torch.tensor(5), **prefixed(prefix)}).state, RAW)
    averaged = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(3, 2))
    assert find_weights({"model_ema": averaged.state_dict()}).state.keys() == {"weight", "bias"}


@pytest.mark.parametrize(
    "beside", [{"model": "deit_tiny"}, {"model": 3}, {"state_dict_ema": None}, {"ema": 0.999}, {"model": {"depth": 12}}]
)
def test_plain_values_under_the_usual_keys(beside: dict[str, Any]) -> None:
    found = find_weights({**beside, "state_dict": RAW})
    assert same(found.state, RAW)
    assert found.taken == "state_dict"


def test_a_parameter_by_the_name_of_a_wrapper() -> None:
    state = {"model": torch.ones(2), "net": torch.ones(3)}
    assert same(find_weights(state).state, state)


def test_names_out_of_a_file_are_escaped() -> None:
    with pytest.raises(InputError) as caught:
        find_weights({"a\x1b[2J": 3})
    assert str(caught.value).replace("\n", "").isprintable()
