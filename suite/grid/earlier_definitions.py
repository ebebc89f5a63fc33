"""Definitions of this package that were mended without an effect on any finished run.

A change of code makes the records of older code stale. Some changes can't differ in a run that ended: they turn an
error into a result. For these, a fingerprint counts the earlier text, so that no record becomes stale. A test runs both
versions and compares them to the last bit. If the definition changes again, its own text counts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Earlier:
    """The earlier text of a definition.

    Args:
        now: the fingerprint of the present definition alone, without what it uses.
        text: the definition as it was.
        why: why finished runs can't differ.
    """

    now: str
    text: str
    why: str


EARLIER = {
    "suite.models.layers.rotation:TurnedProjection": Earlier(
        now="9cc73ff3e1f8b265",
        why="Gradients of any layout in memory are turned back. Of those that aren't dense, it raised an error.",
        text="""
class TurnedProjection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, packed: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        *read, v = packed.unflatten(2, (3, len(turn), -1)).unbind(2)
        table = turn_table(turn)
        turns = [turn_into(x.new_empty(x.shape), x, table) for x in read]
        ctx.save_for_backward(table, *(turns if ctx.needs_input_grad[1] else ()))
        q, k = (x.transpose(1, 2) for x in turns)
        return q, k, v.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *of_parts: Tensor) -> tuple[Tensor, Tensor | None]:
        table, *turns = ctx.saved_tensors
        *read, of_v = (grad.transpose(1, 2) for grad in of_parts)
        batch, tokens, heads, width = of_v.shape
        grads = of_v.new_empty(batch, tokens, 3, heads, width)
        for number, grad in enumerate(read):
            turn_into(grads[:, :, number], grad, table.conj())
        grads[:, :, 2] = of_v
        return grads.flatten(2), turn_gradient(read, turns, table).transpose(0, 1) if turns else None
""",
    ),
}
