"""Edits that are kept beside a model and answered by another one, chosen prompt by prompt.

A method of this kind (a memory of edits, Mitchell et al. 2022, arXiv:2206.06520) leaves the weights alone. Its *router*
says of each prompt whether it is in the scope of what is edited. If it is, a second model answers it behind a text that
tells the edit; if not, the base model answers as if there were no edit, bit for bit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from shared.errors import DataError, ModelError
from shared.model.models import LM


@runtime_checkable
class Router(Protocol):
    """What an edit of kind `memory` holds.

    Attributes:
        answering: the model that answers what is in scope; its words begin with the base model's, see
            `require_same_words`.
    """

    answering: LM

    def texts(self, prompts: Sequence[str]) -> list[str | None]:
        """Return, for each prompt, the text that is put directly before it, or None where the base model answers."""
        ...

    def described(self) -> dict[str, Any]:
        """Return what the method's loader makes the router again from, as JSON; `method` names the method."""
        ...


Loader = Callable[[Mapping[str, Any], LM], Router]
_LOADERS: dict[str, Loader] = {}


def register_router(method: str, load: Loader) -> None:
    """Say how the routers of a method are made again: from what `described` returned, for a base model."""
    _LOADERS[method] = load


def load_router(described: Mapping[str, Any], lm: LM) -> Router:
    """Return the router that was described, for a base model.

    Raises:
        DataError: no imported module registers routers of its method, or its files are gone or changed.
    """
    if described["method"] not in _LOADERS:
        raise DataError(f"no method {described['method']!r} keeps edits beside a model; known: {', '.join(_LOADERS)}")
    return _LOADERS[described["method"]](described, lm)


def require_same_words(base: LM, other: LM) -> None:
    """Check that each of the base model's tokens is the same token of the other model, which may know more of them.

    Raises:
        ModelError: they differ, so that log-probabilities of one could not take the place of the other's.
    """
    words = other.tokenizer.get_vocab()
    missing = [word for word, number in base.tokenizer.get_vocab().items() if words.get(word) != number]
    if missing:
        raise ModelError(
            f"{other.name} writes {len(missing)} of the words of {base.name} differently ({missing[0]!r}): an edit's "
            "answer could not be read in the base model's place; start it from a model of the base model's family"
        )


def covered(
    routers: Sequence[Router | None], edit_of: Sequence[int | None], prompts: Sequence[str]
) -> list[tuple[LM, dict[int, str]]]:
    """Return which prompts are in scope, and the text before each, by the model that answers them.

    Args:
        routers: by index of the edit; None for an edit of another kind.
        edit_of: index of the edit that each prompt is asked under, None for no edit.
    """
    asked: dict[int, list[int]] = {}
    for place, edit in enumerate(edit_of):
        if edit is not None and routers[edit] is not None:
            asked.setdefault(edit, []).append(place)
    found: dict[int, tuple[LM, dict[int, str]]] = {}
    for edit, places in asked.items():
        router = routers[edit]
        texts = router.texts([prompts[place] for place in places])
        own = {place: text for place, text in zip(places, texts, strict=True) if text is not None}
        if own:
            found.setdefault(id(router.answering), (router.answering, {}))[1].update(own)
    return list(found.values())
