"""timm's SwinTransformer with an absolute PE and a joining method in each block.

TorchScript reads annotations as objects, so this file doesn't postpone them.
"""

from typing import TYPE_CHECKING, Any

import torch
from timm.models._features import feature_take_indices
from timm.models.swin_transformer import SwinTransformer, SwinTransformerBlock
from torch import Tensor, nn

from suite.models.embedding import PositionEmbedding
from suite.models.sizes import Grid
from suite.models.timm_blocks import JoinedSwinBlock, JoinedSwinStage, at, lists, parted, plus, scriptable
from suite.models.timm_stages import Joining


class JoinedSwinTransformer(Joining, SwinTransformer):
    """timm's SwinTransformer with an absolute PE and a joining method; tokens are [batch, rows, columns, width]."""

    if TYPE_CHECKING:  # TorchScript would take these annotations for its own
        layers: Any
        position: Any

    block_type = SwinTransformerBlock
    joined_block_type = JoinedSwinBlock

    @staticmethod
    def stages(model: Any) -> list[Any]:
        """The blocks of each stage."""
        return [stage.blocks for stage in model.layers]

    @staticmethod
    def grids(model: Any) -> list[Grid]:
        """Rows and columns of the tokens in each stage's blocks."""
        return [tuple(stage.output_resolution) for stage in model.layers]

    def adopt(self, embeddings: list[PositionEmbedding]) -> None:
        """Take over the position embedding of each stage."""
        self.position = nn.ModuleList(embeddings)
        self.position_grids = [list(grid) for grid in self.grids(self)]
        for stage in self.layers:
            stage.__class__ = JoinedSwinStage
        with torch.no_grad():
            self._join_blocks(self._terms())

    def _terms(self) -> list[list[list[Tensor]]]:
        """What the joining method adds in each stage: `lists`, in the layout of its tokens."""
        terms: list[list[list[Tensor]]] = []
        omega: Tensor | None = None
        for number, (stage, position) in enumerate(zip(self.layers, self.position)):  # noqa: B905 -- a pruned model
            if omega is not None:
                omega = stage.downsample(omega).flatten(1, 2).to(omega.dtype)
            if torch.jit.is_scripting():  # type: ignore[attr-defined]
                parts = parted(position(torch.empty(0) if omega is None else omega), self.counts[number])
            else:
                parts = lists(position(omega))
            grid = self.position_grids[number]
            laid_out = [[term.unflatten(1, grid) for term in part] for part in parts]
            omega = laid_out[4][0] if len(laid_out[4]) > 0 else None
            terms.append(laid_out)
        return terms

    def forward_features(self, x: Tensor) -> Tensor:
        """As in timm, with the position joined."""
        terms = self._terms()
        x = plus(self.patch_embed(x), at(terms[0][0], 0))
        for number, stage in enumerate(self.layers):
            x = stage(x, terms[number][1], terms[number][2], terms[number][3])
        features: Tensor = self.norm(x)
        return features

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """As in timm, with the position joined."""
        if output_fmt != "NCHW":
            raise AssertionError("Output shape must be NCHW.")  # as in timm
        wanted, last = feature_take_indices(len(self.layers), indices)
        terms = self._terms()
        x = plus(self.patch_embed(x), at(terms[0][0], 0))
        taken, final = [], len(self.layers) - 1
        number = 0
        for number, stage in enumerate(self.layers[: last + 1] if stop_early else self.layers):
            x = stage(x, *terms[number][1:4])
            if number in wanted:
                shown = self.norm(x) if norm and number == final else x
                taken.append(shown.permute(0, 3, 1, 2).contiguous())
        if intermediates_only:
            return taken
        return self.norm(x) if number == final else x, taken

    def group_matcher(self, coarse: bool = False) -> Any:
        """As in timm; a block's maps and tables are of its group."""
        groups = super().group_matcher(coarse)
        if coarse:
            groups["blocks"] = r"^(?:layers|position)\.(\d+)"
        else:
            groups["blocks"].append((r"^position\.(\d+)\.\w+\.(\d+)", None))
        return groups

    def __prepare_scriptable__(self) -> Any:
        """For `torch.jit.script`."""
        view = self._view()
        with torch.no_grad():
            omegas = [torch.empty(0)]
            omegas += [parts[4][0] if parts[4] else torch.empty(0) for parts in self._terms()]
            merged = [
                self.layers[number].downsample(omega).flatten(1, 2) if omega.numel() > 0 else omega
                for number, omega in enumerate(omegas[:-1])
            ]
            traced = [scriptable(position, omega) for position, omega in zip(self.position, merged, strict=True)]
        view._modules["position"] = nn.ModuleList(traced)
        return view
