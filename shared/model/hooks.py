"""Watching and changing what a module computes, with hooks that are always removed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn


def first_tensor(output: Tensor | tuple) -> Tensor:
    """Return the hidden states of a module's output; some modules return them as the first item of a tuple."""
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def capture(modules: dict[str, nn.Module], *, inputs: bool = False) -> Iterator[dict[str, Tensor]]:
    """Collect the input or the output of each module in every forward pass made inside the context.

    Args:
        modules: site name → module.
        inputs: collect the first positional input instead of the output.

    Yields:
        site name → tensor of the latest pass, detached.
    """
    seen: dict[str, Tensor] = {}

    def watch(name: str) -> Callable:
        def hook(_module: nn.Module, args: tuple, output: Tensor | tuple) -> None:
            seen[name] = (args[0] if inputs else first_tensor(output)).detach()

        return hook

    with ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(watch(name)).remove)
        yield seen


@contextmanager
def replace(modules: Iterable[nn.Module], change: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Replace the output of each module by `change(index, output)` inside the context.

    Args:
        modules: the sites; `index` counts them from 0.
        change: receives the hidden states and returns their replacement (it must not write in place).
    """

    def hook_for(index: int) -> Callable:
        def hook(_module: nn.Module, _args: tuple, output: Tensor | tuple) -> Tensor | tuple:
            changed = change(index, first_tensor(output))
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        return hook

    with ExitStack() as stack:
        for index, module in enumerate(modules):
            stack.callback(module.register_forward_hook(hook_for(index)).remove)
        yield


@contextmanager
def replace_inputs(modules: Iterable[nn.Module], change: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Replace the first input of each module by `change(index, input)`, as `replace` does with outputs."""

    def hook_for(index: int) -> Callable:
        def hook(_module: nn.Module, args: tuple) -> tuple:
            return (change(index, args[0]), *args[1:])

        return hook

    with ExitStack() as stack:
        for index, module in enumerate(modules):
            stack.callback(module.register_forward_pre_hook(hook_for(index)).remove)
        yield
