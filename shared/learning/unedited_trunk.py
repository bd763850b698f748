"""What a model computes before its first edited map is the same with and without the edit: compute it once per batch.

Blocks that end before the first edited module starts are recorded in one pass and played back in the next passes over
the same batch, to the same numbers.
"""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from shared.model.lean import shadowed


class UneditedTrunk:
    """The blocks of a model that run before any edited module.

    Args:
        model: a model whose blocks are members of module lists.
        edited: names of the edited modules.
    """

    def __init__(self, model: nn.Module, edited: Collection[str]):
        self._edited = [model.get_submodule(name) for name in edited]
        self._blocks = _outermost_blocks(model)
        self._outputs: dict[nn.Module, Any] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep the outputs of the forward pass inside, which runs over one batch."""
        self._outputs = {}
        reached: list[bool] = []

        def reach(_module: nn.Module, _args: tuple) -> None:
            reached.append(True)

        def keep(module: nn.Module, _args: tuple, output: Any) -> None:
            if not reached:
                self._outputs[module] = output

        with ExitStack() as stack:
            for module in self._edited:
                stack.callback(module.register_forward_pre_hook(reach).remove)
            for block in self._blocks:
                stack.callback(block.register_forward_hook(keep).remove)
            yield

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Give the kept outputs in the passes inside, over the recorded batch; all other blocks run."""
        with ExitStack() as stack:
            for block, output in self._outputs.items():
                stack.enter_context(shadowed(block, lambda *_args, _kept=output, **_named: _kept))
            yield

    @contextmanager
    def reused(self) -> Iterator[None]:
        """Record in the first pass, and replay in the later ones over the same batch."""
        with self.replayed() if self._outputs else self.recorded():
            yield


def _outermost_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the members of module lists that lie in no other module list."""
    found: list[nn.Module] = []
    for child in model.children():
        found += list(child) if isinstance(child, nn.ModuleList) else _outermost_blocks(child)
    return found
