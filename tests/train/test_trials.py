"""Training: pairs share all but what is under test, runs repeat bit for bit, and failures are outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suite.data.images import ArrayImages, load_images
from suite.data.subsets import balanced_subset
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.grid.trial import Trial
from suite.models import create_model
from suite.store.environment import node_name
from suite.store.record import unpack_bits
from suite.train.augmentation.pipeline import Normalise
from suite.train.faults import MachineFault
from suite.train.machine import Machine
from suite.train.steps import trainer as training_loop
from suite.train.steps.finite import DivergedError, check_finite
from suite.train.steps.precision import Precision
from suite.train.steps.trainer import Trainer
from suite.train.trials import run_trial
from tests.records import lasting

Write = Callable[..., Path]


@pytest.fixture
def trials(write_grid: Write) -> list[Trial]:
    """Default and LaPE, with every source of randomness at work: two seeds each."""
    path = write_grid(
        ("lr: 1e-3,", "lr: 1e-3, crop_padding: 1, flip: true, label_smoothing: 0.1,"),
        ("mlp_ratio: 1}", "mlp_ratio: 1, attn_drop: 0.2, drop_path: 0.2}"),
    )
    return list(load_grid(path).expand().trials)


def test_the_record_of_a_run(trials: list[Trial], machine: Machine) -> None:
    record = run_trial(trials[1], machine)
    trial = trials[1]
    assert (record.status, record.error, record.epochs) == ("done", None, 2)
    assert (record.trial_id, record.cell_id, record.config) == (trial.id, trial.cell_id, trial.config)
    assert record.arch == "tiny"
    assert record.join == "lape"
    model = create_model(trial.arch, pe=trial.pe, join=trial.join, num_classes=10, image_size=8, in_chans=1)
    assert record.params == sum(parameter.numel() for parameter in model.parameters())
    assert record.macs is not None
    assert record.macs > 0
    assert record.test_images == trial.dataset.test_images
    right = unpack_bits(record.correct or "", record.test_images or 0)
    assert record.top1 == 100 * right.mean()
    assert record.history is not None
    assert record.top1 == record.history[-1].top1
    assert record.top1_best_epoch == max(epoch.top1 for epoch in record.history)
    assert record.environment.precision == "fp32"
    assert record.peak_memory_mb is not None
    assert 50 < record.peak_memory_mb < 5000


def test_tests_may_be_rare_and_the_last_epoch_has_one(write_grid: Write, machine: Machine) -> None:
    path = write_grid(("epochs: 2", "epochs: 5"))
    often, rarely = (load_grid(path, [f"recipe.test_every={every}"]).expand().trials[0] for every in (1, 2))
    every, some = run_trial(often, machine), run_trial(rarely, machine)
    assert every.history is not None
    assert some.history is not None
    tested = [epoch.top1 if index in (1, 3, 4) else None for index, epoch in enumerate(every.history)]
    assert [epoch.top1 for epoch in some.history] == tested
    assert (some.top1, some.correct) == (every.top1, every.correct)  # testing doesn't touch the training
    assert some.top1_best_epoch == max(top1 for top1 in tested if top1 is not None)


def test_a_run_repeats_bit_for_bit_whatever_ran_before_it(trials: list[Trial], machine: Machine) -> None:
    first = run_trial(trials[0], machine)
    torch.manual_seed(5)
    run_trial(trials[3], machine)
    assert lasting(run_trial(trials[0], machine)) == lasting(first)


def test_a_run_leaves_the_process_as_it_was(trials: list[Trial], machine: Machine) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    before = torch.get_num_threads()
    run_trial(trials[0], machine)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == before


def test_pairs_share_weights_and_batches_and_seeds_do_not(
    trials: list[Trial], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything a training sees is recorded: the first weights, each batch, each label, each dropout mask."""
    seen: dict[str, tuple[dict[str, torch.Tensor], list[torch.Tensor]]] = {}

    class Spy(Trainer):
        def train_epoch(self, images: Any, orders: Any, *rest: Any) -> torch.Tensor:
            tensors = seen.setdefault(
                current.id, ({name: p.detach().clone() for name, p in self.model.named_parameters()}, [])
            )[1]
            tensors.append(images.labels[orders[0]])
            self.model.register_forward_pre_hook(lambda module, inputs: tensors.append(inputs[0].clone()))
            self.model.blocks[1].drop_path.register_forward_hook(  # type: ignore[union-attr, index]
                lambda module, inputs, output: tensors.append((output == 0).flatten(1).all(1))
            )
            return super().train_epoch(images, orders, *rest)

    monkeypatch.setattr("suite.train.attempt.Trainer", Spy)
    for current in trials:
        assert run_trial(current, machine).status == "done"

    default, lape, default_again, lape_again = (seen[trial.id] for trial in trials)
    for baseline, treatment in ((default, lape), (default_again, lape_again)):
        assert baseline[0].keys() < treatment[0].keys()
        assert all(torch.equal(value, treatment[0][name]) for name, value in baseline[0].items())
        assert len(baseline[1]) == len(treatment[1]) > 8
        assert all(torch.equal(*pair) for pair in zip(baseline[1], treatment[1], strict=True))
    weights = [name for name, value in default[0].items() if value.unique().numel() > 1]
    assert all(not torch.equal(default[0][name], default_again[0][name]) for name in weights)
    assert not any(torch.equal(*pair) for pair in zip(default[1][:2], default_again[1][:2], strict=True))


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged(trials: list[Trial], machine: Machine) -> None:
    recipe = Recipe.model_validate({**trials[0].recipe.model_dump(), "lr": 1e30, "epochs": 5})
    record = run_trial(replace(trials[0], recipe=recipe), machine)
    assert record.status == "diverged"
    assert record.diverged_step is not None
    assert 0 < record.diverged_step < 10
    assert record.epochs == record.diverged_step // 2  # two steps an epoch
    assert record.top1 is record.correct is record.train_seconds is None
    assert str(record.diverged_step) in (record.error or "")


def test_a_last_step_that_spoils_the_weights_is_no_result(trials: list[Trial], machine: Machine) -> None:
    """The one step's own loss is finite; the test after it isn't, and no record holds such a number."""
    changes = {"lr": 1e30, "epochs": 1, "batch_size": 128, "train_images": 128}
    recipe = Recipe.model_validate({**trials[0].recipe.model_dump(), **changes})
    record = run_trial(replace(trials[0], recipe=recipe), machine)
    assert (record.status, record.diverged_step, record.test_loss) == ("diverged", 0, None)


def test_the_step_that_diverged_is_the_first_one() -> None:
    with pytest.raises(DivergedError) as caught:
        check_finite(torch.tensor([1.0, 2.0, float("inf"), float("nan")]), first_step=10)
    assert caught.value.step == 12
    assert check_finite(torch.tensor([1.0, 2.0]), first_step=0) == 1.5


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("boom"), "error"), (SystemExit(0), "error"), (MemoryError(), "oom")]
)
def test_other_failures_are_outcomes_too(
    trials: list[Trial], machine: Machine, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: str
) -> None:
    def fail(*arguments: object) -> torch.Tensor:
        raise error

    monkeypatch.setattr(Trainer, "train_epoch", fail)
    record = run_trial(trials[0], machine)
    assert (record.status, record.epochs, record.top1) == (status, 0, None)
    assert type(error).__name__ in (record.error or "")
    assert record.params is not None


def test_out_of_memory_is_tried_once_more_with_half_the_images_at_once(
    trials: list[Trial], machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first attempt fails in its second epoch; the second is the training that --micro-batch asks for."""
    epoch, tried = Trainer.train_epoch, list[int]()

    def fail(trainer: Trainer, *arguments: Any, **more: Any) -> torch.Tensor:
        tried.append(trainer.images_at_once)
        if tried == [64, 64]:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return epoch(trainer, *arguments, **more)

    monkeypatch.setattr(Trainer, "train_epoch", fail)
    record = run_trial(trials[0], machine)
    assert tried == [64, 64, 32, 32]
    assert (record.status, record.trial_id, record.environment.micro_batch) == ("done", trials[0].id, 32)
    assert lasting(record) == lasting(run_trial(trials[0], replace(machine, micro_batch=32)))
    assert "tried again with 32 images at once" in capsys.readouterr().err


def test_a_model_with_statistics_over_the_batch_is_not_taken_in_parts(
    machine: Machine, write_grid: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(*arguments: object) -> torch.Tensor:
        calls.append(1)
        raise MemoryError

    monkeypatch.setattr(Trainer, "train_epoch", fail)
    path = write_grid(("  join: [default, lape]", "  join: [default]\n  norm: [bn]"), ("depth: 2", "depth: 3"))
    record = run_trial(load_grid(path).expand().trials[0], machine)
    assert (record.status, record.environment.micro_batch, len(calls)) == ("oom", None, 1)
    assert "statistics over the batch, which can't be taken in parts" in (record.error or "")


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), RuntimeError("CUDA error: uncorrectable ECC error encountered")]
)
def test_an_error_of_the_machine_is_no_outcome(
    trials: list[Trial], machine: Machine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*arguments: object) -> torch.Tensor:
        raise error

    monkeypatch.setattr(Trainer, "train_epoch", fail)
    with pytest.raises(MachineFault) as caught:
        run_trial(trials[0], machine)
    assert str(error) in caught.value.reason
    assert caught.value.node == node_name()
    monkeypatch.undo()
    assert run_trial(trials[0], machine).status == "done"


def test_a_device_that_cannot_be_tidied_up_hides_nothing(
    trials: list[Trial], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed assertion every call of a GPU fails: the record says what came first."""

    def fail(*arguments: object) -> torch.Tensor:
        raise RuntimeError("CUDA error: device-side assert triggered")

    def release(device: torch.device) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered, again")

    monkeypatch.setattr(Trainer, "train_epoch", fail)
    monkeypatch.setattr("suite.train.one_attempt.release", release)
    record = run_trial(trials[0], machine)
    assert record.status == "error"
    assert not (record.error or "").endswith("again")


def test_a_trial_that_takes_too_long_ends_between_two_stretches(trials: list[Trial], machine: Machine) -> None:
    record = run_trial(trials[0], replace(machine, time_limit=1e-9))
    assert (record.status, record.epochs, record.top1, record.machine_fault) == ("timeout", 0, None, False)
    assert "a higher --time-limit" in (record.error or "")
    assert run_trial(trials[0], replace(machine, time_limit=3600)).status == "done"


@pytest.mark.parametrize("on_gpu", [False, True])
def test_out_of_memory_names_what_was_tried_and_the_next_to_try(
    trials: list[Trial], machine: Machine, monkeypatch: pytest.MonkeyPatch, on_gpu: bool
) -> None:
    def fail(*arguments: object) -> torch.Tensor:
        if on_gpu:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return torch.empty(2**60, dtype=torch.uint8)  # torch's own message of a CPU

    monkeypatch.setattr(Trainer, "train_epoch", fail)
    # What is told is of the second attempt, with half as many.
    for tried, at_once, smaller in ((None, 32, 16), (32, 16, 8), (3, 1, None), (1, 1, None)):
        machine = replace(machine, micro_batch=tried)
        record = run_trial(trials[0], machine)
        assert record.status == "oom"
        first, *rest = (record.error or "").splitlines()
        assert first.startswith(f"out of memory with {at_once} images at once")
        assert first.endswith(f"next to try: --micro-batch {smaller}") == (smaller is not None)
        assert any("memory" in line for line in rest)
        assert record.environment.micro_batch == at_once


def test_data_that_are_not_prepared_are_no_outcome(trials: list[Trial], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lape data prepare digits"):
        run_trial(trials[0], Machine(tmp_path, "cpu"))


def test_a_device_that_is_not_there(trials: list[Trial], data_folder: Path) -> None:
    with pytest.raises(InputError, match="can't use the device 'cuda:99'"):
        run_trial(trials[0], Machine(data_folder, "cuda:99"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_trains_in_mixed_precision_and_learns_what_a_cpu_learns(
    trials: list[Trial], machine: Machine, data_folder: Path
) -> None:
    gpu, cpu = run_trial(trials[1], Machine(data_folder, "cuda")), run_trial(trials[1], machine)
    assert gpu.status == "done", gpu.error
    assert gpu.environment.precision in ("bf16", "fp16")
    assert gpu.history is not None
    assert cpu.history is not None
    assert gpu.history[0].train_loss == pytest.approx(cpu.history[0].train_loss, rel=0.05)


def test_only_the_subset_is_seen_and_it_is_the_same_for_all_seeds(
    trials: list[Trial], machine: Machine, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[torch.Tensor] = []
    train_epoch = Trainer.train_epoch

    def note(self: Trainer, images: Any, given: Sequence[torch.Tensor], *rest: Any) -> torch.Tensor:
        orders.extend(given)
        return train_epoch(self, images, given, *rest)

    monkeypatch.setattr(Trainer, "train_epoch", note)
    run_trial(trials[0], machine)
    run_trial(trials[2], machine)
    labels = load_images(trials[0].dataset, "train", data_folder).labels
    expected = set(balanced_subset(labels, 128).tolist())
    assert len(orders) == 4
    assert all(set(order.tolist()) == expected for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 4


def test_a_model_learns(write_grid: Write, machine: Machine) -> None:
    path = write_grid(
        ("epochs: 2, batch_size: 64", "epochs: 8, batch_size: 16"),
        ("lr: 1e-3", "lr: 5e-3"),
        ("embed_dim: 8", "embed_dim: 32"),
    )
    record = run_trial(load_grid(path).expand().trials[1], machine)
    assert record.history is not None
    assert record.history[-1].train_loss < 0.7 * record.history[0].train_loss
    assert record.top1 is not None
    assert record.top1 > 40


def test_the_test_pass_counts_every_image_once() -> None:
    """Against one plain forward pass, over a number of images that fills no whole batch."""
    torch.manual_seed(0)
    model = create_model(
        "cvt", num_classes=3, image_size=4, in_chans=1, patch_size=2, embed_dim=6, depth=1, num_heads=2, mlp_ratio=1.0
    )
    count = training_loop.TEST_BATCH + 13
    images = ArrayImages(torch.randint(0, 256, (count, 4, 4, 1), dtype=torch.uint8), torch.randint(0, 3, (count,)))
    recipe = Recipe(version=1, epochs=1, batch_size=1, lr=1.0)
    device = torch.device("cpu")
    trainer = Trainer(
        model,
        torch.optim.SGD(model.parameters()),
        recipe,
        Normalise((0.5,), (0.5,), device),
        Precision("fp32", None),
        device,
    )
    (correct,), (loss,) = trainer.test(images)
    with torch.no_grad():
        logits = model.eval()((images.pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5)
    assert np.array_equal(correct.numpy(), (logits.argmax(1) == images.labels).numpy())
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, images.labels).item(), rel=1e-5)
