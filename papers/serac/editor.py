"""SERAC on decoders, as an editor like all others: an edit is a memory of facts beside the model.

    python -m shared edit --method serac --model results/models/world-small --set parts=DIR --facts facts.json

`DIR` is what `python -m papers.serac.train --kind decoder` wrote. The base model answers what no fact covers, bit for
bit as without the memory.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papers.serac.counterfactual import load_counterfactual
from papers.serac.descriptor import Descriptor
from papers.serac.method import route
from papers.serac.scope import Scope, load_scope
from papers.serac.texts import text_before
from shared.data.requests import EditRequest
from shared.data.templates import fill
from shared.editing.editors import register
from shared.edits.deltas import Edit
from shared.edits.routing import register_router
from shared.errors import ConfigError, DataError
from shared.model.models import LM

METHOD, MEMORY, COUNTERFACTUAL = "serac", "memory", "counterfactual"


@dataclass(frozen=True, eq=False)
class Parts:
    """The trained parts of one folder, for one base model.

    Attributes:
        folder: where they were read from.
        scope_name: name of the classifier in it.
        digest: of the files of both.
        scope: the classifier.
        counterfactual: the other model.
    """

    folder: Path
    scope_name: str
    digest: str
    scope: Scope
    counterfactual: LM


def load_parts(folder: str | Path, scope: str, lm: LM) -> Parts:
    """Return the trained parts for a base model.

    Raises:
        DataError: the folder holds none.
        ModelError: the counterfactual model has other words than the base model.
    """
    folder = Path(folder)
    found = [folder / scope, folder / COUNTERFACTUAL]
    if missing := [part for part in found if not part.is_dir()]:
        raise DataError(f"{missing[0]} does not exist; python -m papers.serac.train writes such a folder")
    loaded = load_scope(folder / scope)
    loaded.model.to(lm.device)
    return Parts(folder, scope, _digest(found), loaded, load_counterfactual(folder / COUNTERFACTUAL, lm))


def _digest(folders: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for folder in folders for file in folder.iterdir() if file.is_file()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class MemoryRouter:
    """The memory of one edit: its facts, and the parts that read them."""

    edits: tuple[Descriptor, ...]
    parts: Parts

    @property
    def answering(self) -> LM:
        """The counterfactual model."""
        return self.parts.counterfactual

    def texts(self, prompts: Sequence[str]) -> list[str | None]:
        """Return the likeliest fact before each prompt that it covers (g > 0.5), None for the others."""
        routed = route(self.parts.scope, self.edits, prompts)
        pairs = zip(routed.edit.tolist(), routed.covered.tolist(), strict=True)
        return [text_before(self.edits[edit]) if inside else None for edit, inside in pairs]

    def described(self) -> dict[str, Any]:
        """Return the facts, and folder and digest of the parts."""
        return {
            "method": METHOD,
            "parts": str(self.parts.folder.resolve()),
            "scope": self.parts.scope_name,
            "digest": self.parts.digest,
            "edits": [[edit.source, edit.target] for edit in self.edits],
        }


def load_memory(described: Mapping[str, Any], lm: LM) -> MemoryRouter:
    """Return the memory that `MemoryRouter.described` told of.

    Raises:
        DataError: the parts are gone, or others than those that the memory was used with.
    """
    parts = load_parts(described["parts"], described["scope"], lm)
    if parts.digest != described["digest"]:
        raise DataError(
            f"{parts.folder} holds other parts than those that the memory was kept for: train them as before, or edit "
            "again with these"
        )
    return MemoryRouter(tuple(Descriptor(*edit) for edit in described["edits"]), parts)


class SeracEditor:
    """The memory-based editor for decoders.

    Args:
        parts: folder that `python -m papers.serac.train` wrote for a decoder.
        scope: name of the classifier in it.

    Raises:
        ConfigError: no folder is given.
    """

    name = METHOD

    def __init__(self, parts: str | Path | None = None, scope: str = "scope"):
        if parts is None:
            raise ConfigError(
                "serac needs trained parts: give parts=FOLDER, which python -m papers.serac.train --kind decoder writes"
            )
        self._folder, self._scope = parts, scope
        self._loaded: tuple[LM, Parts] | None = None

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return a memory that holds all requests. Cost: none but reading the parts once; nothing is trained."""
        if self._loaded is None or self._loaded[0] is not lm:
            self._loaded = (lm, load_parts(self._folder, self._scope, lm))
        edits = tuple(Descriptor(fill(request.prompt, request.subject), request.target_new) for request in requests)
        return Edit((), {"facts": len(edits)}, MEMORY, router=MemoryRouter(edits, self._loaded[1]))

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one memory per request."""
        return [self.edit(lm, [request]) for request in requests]


register(METHOD, SeracEditor)
register_router(METHOD, load_memory)
