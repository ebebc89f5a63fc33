"""What timm's scripts and users ask of a model, beside being called, on top of our transformers.

Refused, each with a message: another pooling than the architecture's (`global_pool`), dropout that the published model
doesn't have, pretrained weights, and `torch.jit.script`, which can't compile joining methods (they are any Python
functions): export or trace the model instead. FX traces a model in evaluation alone (and no T2T-ViT and no DTN, which
switch autocast off by the device of their input): in training, masks come from generators that a trainer may name.
`fixed_input_size` says that the image size can't be changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models._features import feature_take_indices
from timm.models._manipulate import checkpoint
from torch import Tensor, nn

from suite.errors import InputError
from suite.models.embedding import PositionEmbedding
from suite.models.families.deit import DistilledDeiT
from suite.models.families.swin import Swin
from suite.models.families.transformer import Transformer, VisionTransformer
from suite.models.sizes import Size
from suite.models.timm_features import packed


class TimmModel(Transformer):
    """timm's interface of a model."""

    head: Any
    grad_checkpointing = False
    decays_position = False  # whether the PE and the class token had weight decay as published
    decays_relative_position = True

    @property
    def num_classes(self) -> int:
        """Of the head, 0 without one."""
        return self.head.out_features if isinstance(self.head, nn.Linear) else 0

    @property
    def num_features(self) -> int:
        """The width of the head's input."""
        patches = self.architecture.size.patch_tokens(self.image_size)
        assert patches is not None
        return patches.width

    @property
    def head_hidden_size(self) -> int:
        """The width of the head's input."""
        return self.num_features

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Of each level of features, its channels, its module, and how many pixels a side a token stands for."""
        size = self.architecture.size
        assert isinstance(size, Size)
        paths, grids = self._level_modules(), size.stage_grids(self.image_size)
        widths = [size.embed_dim * 2**stage for stage in range(len(grids))]
        if len(grids) == 1:  # a level is a block
            grids, widths = grids * len(paths), widths * len(paths)
        shown = zip(paths, widths, grids, strict=False)  # a pruned model has fewer levels than its architecture
        return [
            {"num_chs": width, "reduction": self.image_size // grid[0], "module": path} for path, width, grid in shown
        ]

    def get_classifier(self) -> Any:
        """The head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new head, drawn by torch's global generator, or none for 0 classes."""
        refuse_pool(global_pool)
        self.head = self._new_head(num_classes)

    def _new_head(self, num_classes: int) -> nn.Module:
        if num_classes == 0:
            return nn.Identity()
        weight = next(self.parameters())
        head = nn.Linear(self.num_features, num_classes, device=weight.device, dtype=weight.dtype)
        nn.init.trunc_normal_(head.weight, std=0.02)
        nn.init.zeros_(head.bias)
        return head.train(self.training)

    def no_weight_decay(self) -> set[str]:
        """The parameters of more than one dimension that had no weight decay as published."""
        kept = set() if self.decays_position else self.position_and_class_parameters()
        if self.decays_relative_position:
            return kept
        return kept | {name for name, _ in self.named_parameters() if ".biases." in name}

    def __prepare_scriptable__(self) -> TimmModel:
        """For `torch.jit.script`: refused."""
        raise InputError(
            "torch.jit.script can't compile this model: its joining method is any Python function",
            expected="torch.export.export, torch.jit.trace, or the join in timm's own model by suite.models.apply_join",
            found="torch.jit.script",
            fix="use one of these",
        )

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns of parameters' names: a block's maps, tables and biases of the position are of its group."""
        blocks: list[tuple[str, Any]] = [
            (r"^(?:blocks|position\.\w+)\.(\d+)", None),
            (r"^(?:norm|class_attention|layer_embedding)", (99999,)),
        ]
        return {"stem": r"^(?:class_token|distillation_token|tokenizer)", "blocks": blocks}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute each block once more in the backward pass, and keep its input alone."""
        self.grad_checkpointing = enable

    def run(self, block: nn.Module, *inputs: Any) -> Tensor:
        """One block."""
        x: Tensor = checkpoint(block, *inputs) if self.grad_checkpointing else block(*inputs)
        return x

    def forward(self, images: Tensor) -> Any:
        """[batch, channels, height, width] to logits [batch, classes]."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] to normalised tokens [batch, tokens, width]."""
        features: Tensor = self.norm(self.encode(self.embed(images)))
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Any:
        """Tokens to logits [batch, classes], or to what the head gets."""
        return self.head_input(self.pool(x)) if pre_logits else self.classify(x)

    def _level_modules(self) -> list[str]:
        """The modules whose outputs are the levels of features."""
        raise NotImplementedError

    def _level_ends(self) -> list[int]:
        """The number of the block that ends each level."""
        raise NotImplementedError

    def _final_norm(self, x: Tensor, level: int) -> Tensor:
        """A level's tokens, normalised where the last norm fits them."""
        raise NotImplementedError

    def _prefix_after(self, level: int) -> int:
        """The number of tokens before the patches."""
        return 0

    def forward_intermediates(
        self,
        images: Tensor,
        indices: int | list[int] | None = None,
        return_prefix_tokens: bool = False,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
        output_dict: bool = False,
    ) -> Any:
        """The tokens after blocks, or of a pyramid after stages, as timm's models return them; and the features.

        With `intermediates_only` nothing after the last of them runs. The features are always those of the whole
        model, so that `stop_early` changes nothing.

        Args:
            images: [batch, channels, height, width].
            indices: so many last levels, or these; None: all.
            return_prefix_tokens: with the class and distillation tokens, where they are among the tokens.
            norm: normalised as the features are; of a pyramid, the last level alone.
            stop_early: see above.
            output_fmt: "NCHW" for maps, "NLC" for patches in a row.
            intermediates_only: without the features.
            output_dict: as a dictionary.
        """
        ends = self._level_ends()
        wanted, last = feature_take_indices(len(ends), indices)
        after: list[Tensor] = []
        x = self.encode(self.embed(images), after, ends[last] if intermediates_only else None)
        shown = [self._final_norm(after[ends[level]], level) if norm else after[ends[level]] for level in wanted]
        size = self.architecture.size
        assert isinstance(size, Size)
        grids = size.stage_grids(self.image_size)
        prefixes = {self._prefix_after(level) for level in wanted}
        if return_prefix_tokens and len(prefixes) > 1:
            raise InputError(
                "the class token isn't among the tokens of all these blocks",
                expected="blocks that have it, or return_prefix_tokens=False",
                found=f"blocks {wanted}, in some of which it hasn't joined yet",
                fix="name other indices",
            )
        parts = [
            packed(
                [tokens],
                None,
                prefix=self._prefix_after(level),
                grid=grids[level] if len(grids) > 1 else grids[0],
                return_prefix_tokens=return_prefix_tokens,
                output_fmt=output_fmt,
                output_dict=False,
            )[0]
            for tokens, level in zip(shown, wanted, strict=True)
        ]
        features = None if intermediates_only else self.norm(x)
        if not output_dict:
            return parts if features is None else (features, parts)
        split = bool(parts) and isinstance(parts[0], tuple)
        named: dict[str, Any] = {"image_intermediates": [part[0] for part in parts] if split else parts}
        if split:
            named["image_intermediates_prefix"] = [part[1] for part in parts]
        return named if features is None else {**named, "image_features": features}

    def get_intermediate_layers(
        self,
        images: Tensor,
        n: int | Sequence[int] = 1,
        reshape: bool = False,
        return_prefix_tokens: bool = False,
        norm: bool = False,
    ) -> Any:
        """The tokens after the last n levels, or after these, in a row or (reshape) as maps."""
        return self.forward_intermediates(
            images,
            n if isinstance(n, int) else list(n),
            return_prefix_tokens=return_prefix_tokens,
            norm=norm,
            output_fmt="NCHW" if reshape else "NLC",
            intermediates_only=True,
        )

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove the levels after the last of these, and the head.

        The last norm stays whatever `prune_norm`, since the residual stream has its type.
        """
        wanted, last = feature_take_indices(len(self._level_ends()), indices)
        self._prune(last + 1)
        if prune_head:
            self.reset_classifier(0)
        return wanted

    def _prune(self, levels: int) -> None:
        raise NotImplementedError


class TimmVisionTransformer(TimmModel, VisionTransformer):  # type: ignore[misc]  # timm's forward has one argument
    """A model whose blocks are all alike: a level is a block."""

    def _level_modules(self) -> list[str]:
        return [f"blocks.{block}" for block in range(len(self.blocks))]

    def _level_ends(self) -> list[int]:
        return list(range(len(self.blocks)))

    def _final_norm(self, x: Tensor, level: int) -> Tensor:
        normalised: Tensor = self.norm(x)
        return normalised

    def _prefix_after(self, level: int) -> int:
        return 0 if level < self.late else self.position.prefix

    def _prune(self, levels: int) -> None:
        self.blocks = self.blocks[:levels]
        _prune_position(self.position, levels)


class TimmDistilled(TimmVisionTransformer, DistilledDeiT):  # type: ignore[misc]  # see above
    """As timm's: the two heads' mean, and in training their pair if `set_distilled_training` asks for it."""

    distillation_head: Any
    distilled_training = False

    def set_distilled_training(self, enable: bool = True) -> None:
        """Whether a forward in training returns the logits of both heads."""
        self.distilled_training = enable

    def get_classifier(self) -> Any:
        """Both heads."""
        return self.head, self.distillation_head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """New heads."""
        super().reset_classifier(num_classes, global_pool)
        self.distillation_head = self._new_head(num_classes)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Any:
        """Tokens to logits [batch, classes], or to the mean of what the heads get."""
        of_class, of_teacher = self.head_input(x[:, 0]), self.head_input(x[:, 1])
        if pre_logits:
            return (of_class + of_teacher) / 2
        logits, distilled = self.head(of_class), self.distillation_head(of_teacher)
        return (logits, distilled) if self.training and self.distilled_training else (logits + distilled) / 2

    def classify(self, x: Tensor) -> Any:
        """Normalised tokens to logits [batch, classes], or to the two heads' pair."""
        return self.forward_head(x)


class TimmPyramid(TimmModel, Swin):  # type: ignore[misc]  # timm's forward has one argument
    """A pyramid: a level is a stage. Only the last one is normalised."""

    def _level_modules(self) -> list[str]:
        return [f"stages.{stage}" for stage in range(len(self.stages))]

    def _level_ends(self) -> list[int]:
        ends: list[int] = []
        for stage in self.stages:
            assert isinstance(stage, nn.ModuleList)
            ends.append((ends[-1] if ends else -1) + len(stage))
        return ends

    def _final_norm(self, x: Tensor, level: int) -> Tensor:
        normalised: Tensor = self.norm(x) if x.shape[-1] == self.num_features else x
        return normalised

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns of parameters' names: a block's maps, tables and biases of the position are of its group."""
        blocks: Any = r"^(?:stages|merges|position)\.(\d+)"
        if not coarse:
            blocks = [
                (r"^merges\.(\d+)", (0,)),
                (r"^stages\.(\d+)\.(\d+)", None),
                (r"^position\.(\d+)\.\w+\.(\d+)", None),
                (r"^norm", (99999,)),
            ]
        return {"stem": r"^(?:tokenizer|token_norm)", "blocks": blocks}

    def _prune(self, levels: int) -> None:
        self.stages, self.merges, self.position = self.stages[:levels], self.merges[:levels], self.position[:levels]


def _prune_position(position: PositionEmbedding, blocks: int) -> None:
    """Leave out what belongs to later blocks."""
    position.maps, position.biases = position.maps[:blocks], position.biases[:blocks]
    position.rotations, position.outputs = position.rotations[:blocks], position.outputs[:blocks]
    if position.join.tables == "per_block":
        position.tables = nn.ParameterList(list(position.tables)[:blocks])


def refuse_pool(global_pool: str | None) -> None:
    """Raise `InputError` for a pooling, which these models have as part of their architecture."""
    if global_pool is not None:
        raise InputError(
            "the pooling of these models is part of their architecture",
            expected="no global_pool",
            found=f"global_pool {global_pool!r}",
            fix="leave it out, or choose another model",
        )
