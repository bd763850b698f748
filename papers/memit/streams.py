"""Residual streams of many texts, carried through the model block by block while its weights are being edited.

An edit of layer l is found from the keys that enter its output projection at the subjects' last tokens, and changes
what all later layers see. Nothing before the edited layers ever changes, and in layer l an MLP's change of weights adds
`key · Δ` to every position. So each text passes each block once: its residual stream is kept, and corrected when the
change is known. Texts are cut at the token whose key is wanted, since a causal model's state there depends on nothing
later; texts that begin alike (the same context in front of many subjects) share the states of that beginning. After
the last edited layer only the wanted tokens' states are left, and its MLP is run at these alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.edits.deltas import Edit, applied
from shared.fit.fitting import Row, embed_rows
from shared.model.forward import KeyValues, embed, run_blocks, token_batches
from shared.model.hooks import capture
from shared.model.lean import fused_gelu, mlp_only_at
from shared.model.models import LM

Text = tuple[int, ...]


@dataclass
class _Part:
    """Some texts of a group as one padded batch of what follows the group's common beginning."""

    rows: Int[Tensor, " row"]
    last: Int[Tensor, " row"]
    hidden: Float[Tensor, "row pos d_model"]
    before: Tensor | None = None
    entered: Tensor | None = None

    def at_last(self, states: Float[Tensor, "row pos width"]) -> Float[Tensor, "row width"]:
        return states[torch.arange(len(self.last), device=states.device), self.last]


@dataclass
class _Group:
    """Texts with a common beginning, whose states are held once (None where there is no such beginning)."""

    parts: list[_Part]
    hidden: Float[Tensor, "1 pos d_model"] | None = None
    before: Tensor | None = None
    entered: Tensor | None = None

    def holders(self) -> "list[_Group | _Part]":
        """Return everything that holds a residual stream."""
        return [*([] if self.hidden is None else [self]), *self.parts]


class TextStreams:
    """The residual streams of texts before some block.

    Args:
        texts: token ids up to the token whose states are wanted.
        groups: per text, a label; only texts of the same label are looked through for a common beginning.
        max_tokens: bound on the padded tokens of one forward pass.
        alike: whether all texts see the same edit, so that common beginnings are computed once. Texts that carry edits
            of their own (`add_each`) share nothing.
        noises: per text, what is added to its token embeddings, for texts that share nothing; see `Row`.

    Memory: d_model numbers per token of all texts' own parts, and d_model + d_mlp more while a layer is being edited.
    """

    def __init__(
        self,
        lm: LM,
        texts: Sequence[Text],
        groups: Sequence[int],
        *,
        max_tokens: int = 8192,
        alike: bool = True,
        noises: Sequence[Tensor | None] | None = None,
    ):
        self._lm, self._alike = lm, alike
        self._noises = noises or [None] * len(texts)
        self._count = len(texts)
        self._layer = 0
        self._groups = {label: self._group(texts, groups, label, max_tokens) for label in dict.fromkeys(groups)}

    @torch.no_grad()
    def _group(self, texts: Sequence[Text], groups: Sequence[int], label: int, max_tokens: int) -> _Group:
        lm = self._lm
        members = [index for index, own in enumerate(groups) if own == label]
        shared = common_beginning([texts[index] for index in members]) if self._alike else 0
        beginning = embed(lm, torch.tensor([texts[members[0]][:shared]], device=lm.device)) if shared else None
        group = _Group([], beginning)
        for batch in token_batches([len(texts[index]) - shared for index in members], max_tokens):
            chosen = [members[place] for place in batch]
            rows = [Row(texts[index], noise=self._noises[index]) for index in chosen]
            group.parts.append(
                _Part(
                    rows=torch.tensor(chosen, device=lm.device),
                    last=torch.tensor([len(texts[index]) - 1 - shared for index in chosen], device=lm.device),
                    hidden=embed_rows(lm, rows, [len(row.ids) for row in rows])[:, shared:],
                )
            )
        return group

    @torch.no_grad()
    def keys(self, layer: int, module: nn.Module, *, final: bool = False) -> Float[Tensor, "text width"]:
        """Move on through block `layer` and return what entered `module`, inside it, at each text's last token.

        With `final`, for a module of the MLP, no later block will be asked for: the MLP is run at the last tokens
        only, and these are all that is left of the streams.
        """
        while self._layer < layer:
            for group in self._groups.values():
                self._pass(group)
            self._layer += 1
        found: Tensor | None = None
        for group in self._groups.values():
            if final:
                self._finish(group, module)
            else:
                self._pass(group, module)
            for part in group.parts:
                states = part.at_last(part.entered)
                found = states.new_empty(self._count, states.shape[1]) if found is None else found
                found[part.rows] = states
        self._layer = layer + 1
        return found

    def _pass(self, group: _Group, module: nn.Module | None = None) -> None:
        """Run one block on a group; with a module, keep what entered the block and that module at every position."""
        sites = {} if module is None else {"": module}
        with capture(sites, inputs=True) as seen:
            for holder, after in self._run(group, [self._layer]):
                holder.before, holder.entered = (holder.hidden, seen[""]) if sites else (None, None)
                holder.hidden = after

    def _finish(self, group: _Group, module: nn.Module) -> None:
        """Run one block on a group for its last tokens' sake, and drop all other states."""
        lm, layer = self._lm, self._layer
        with fused_gelu(lm):
            cache = None
            if group.hidden is not None:
                cache = KeyValues(record=True)
                with mlp_only_at(lm, layer, torch.zeros(group.hidden.shape[:2], dtype=torch.bool, device=lm.device)):
                    run_blocks(lm, group.hidden, [layer], cache=cache)
                group.hidden = None
            for part in group.parts:
                wanted = torch.arange(part.hidden.shape[1], device=lm.device) == part.last[:, None]
                with mlp_only_at(lm, layer, wanted), capture({"": module}, inputs=True) as seen:
                    after = self._part(part, [layer], cache)
                part.hidden, part.entered = part.at_last(after)[:, None], seen[""][:, None]
                part.last = torch.zeros_like(part.last)

    def _part(self, part: _Part, layers: Sequence[int], cache: KeyValues | None) -> Tensor:
        """Return a part's residual stream after `layers`, behind the stored keys and values of its beginning."""
        start = 0 if cache is None else cache.get_seq_length(layers[0])
        positions = torch.arange(part.hidden.shape[1], device=self._lm.device)[None] + start
        stored = None if cache is None else cache.select(torch.zeros_like(part.rows))
        return run_blocks(self._lm, part.hidden, layers, positions=positions, cache=stored)

    def _run(self, group: _Group, layers: Sequence[int]) -> Iterator[tuple[_Group | _Part, Tensor]]:
        """Yield each part of a group, its common beginning first, with its residual stream after `layers`."""
        cache = None
        with fused_gelu(self._lm):
            if group.hidden is not None:
                cache = KeyValues(record=True)
                yield group, run_blocks(self._lm, group.hidden, layers, cache=cache)
            for part in group.parts:
                yield part, self._part(part, layers, cache)

    @torch.no_grad()
    def ahead(self, label: int, layer: int) -> Float[Tensor, "text d_model"]:
        """Return the output of block `layer` at the last tokens of one group's texts, in order; the streams stay."""
        group, later = self._groups[label], range(self._layer, layer + 1)
        states = self._run(group, later) if later else ((part, part.hidden) for part in group.parts)
        found = [(part.rows, part.at_last(after)) for part, after in states if isinstance(part, _Part)]
        rows = torch.cat([rows for rows, _ in found])
        return torch.cat([last for _, last in found])[rows.argsort()]

    @torch.no_grad()
    def add(self, change: Float[Tensor, "d_mlp d_model"]) -> None:
        """Correct the streams for a change of the MLP's output projection, which `keys` last watched."""
        for group in self._groups.values():
            for holder in group.holders():
                holder.hidden = holder.hidden + holder.entered @ change
                holder.before = holder.entered = None

    @torch.no_grad()
    def add_each(
        self,
        left: Float[Tensor, "edit d_mlp"],
        right: Float[Tensor, "edit d_model"],
        edit_of: Int[Tensor, " text"],
    ) -> None:
        """Correct each text's stream for its own rank-one change `left rightᵀ` of that projection."""
        if self._alike:
            raise ValueError("texts that share their beginnings cannot carry edits of their own: use alike=False")
        for group in self._groups.values():
            for part in group.parts:
                own = edit_of[part.rows]
                part.hidden = part.hidden + torch.bmm(part.entered, left[own][:, :, None]) * right[own][:, None]
                part.before = part.entered = None

    @torch.no_grad()
    def repeat(self, edit: Edit) -> None:
        """Run the block that `keys` passed last once more, under an edit of any of its modules."""
        self._layer -= 1
        with applied(self._lm, edit):
            for group in self._groups.values():
                for holder in group.holders():
                    holder.hidden = holder.before
                self._pass(group)
        self._layer += 1


def common_beginning(texts: Sequence[Text]) -> int:
    """Return how many tokens all texts have in common at their start, leaving each at least one token of its own."""
    first, last = min(texts), max(texts)
    most = min(map(len, texts)) - 1
    return next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), most)
