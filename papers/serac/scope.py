"""The scope classifier g(z, x): how likely an edit z covers an input x (§3.1 and §3.2 of the paper).

Two forms. `embed`: one encoder for both, log g = -|E(z) - E(x)|^2 with E the last state of [CLS]. `cross`: both texts
in one pass, and a head with two classes, of which the first means "in scope". A memory's vectors are computed once, and
all queries meet all edits in one matrix product.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from papers.serac.descriptor import Descriptor
from papers.serac.texts import scope_text
from shared.errors import ConfigError, ModelError
from shared.model.forward import token_batches
from shared.records import read_json, write_json

EMBED, CROSS = "embed", "cross"
CLS, MEAN, LAST = POOLINGS = "cls", "mean", "last"
MAX_TOKENS = 8192
# log g above which an edit covers an input: g > 0.5.
BOUNDARY = -0.6931471805599453


@runtime_checkable
class Scope(Protocol):
    """What routing asks of a classifier, whatever its form."""

    def nearest(
        self, edits: Sequence[Descriptor], inputs: Sequence[str]
    ) -> tuple[Float[Tensor, " input"], Int[Tensor, " input"]]:
        """Return log g of each input's most likely edit, and which it is."""
        ...


class EmbeddingScope:
    """The bi-encoder.

    Args:
        model: an encoder, or a decoder without its head.
        tokenizer: its tokenizer.
        pooling: what E(text) is: the first state, that of [CLS] (`cls`), the mean of all states (`mean`), or the last
            one, which in a decoder is the only one that has read everything (`last`).
        scale: of the squared distance, 1 in the paper: log g = -scale |E(z) - E(x)|^2. It decides at which distance an
            edit covers an input (g > 0.5), and changes nothing about which edit is the likeliest.
    """

    form = EMBED

    def __init__(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, pooling: str = CLS, scale: float | int = 1.0
    ):
        self.model, self.tokenizer, self.pooling, self.scale = model, tokenizer, pooling, scale
        self._kept: dict[str, Tensor] = {}

    def log_scores(self, edits: Sequence[Descriptor], inputs: Sequence[str]) -> Float[Tensor, "input edit"]:
        """Return minus the scaled squared distances of the two texts' vectors."""
        vectors = self.encode([*inputs, *(scope_text(edit, self.tokenizer) for edit in edits)])
        return -self.scale * squared_distances(vectors[: len(inputs)], vectors[len(inputs) :])

    @torch.no_grad()
    def kept_scores(self, edits: Sequence[Descriptor], inputs: Sequence[str]) -> Float[Tensor, "input edit"]:
        """Return the same, edits' vectors that were asked for before not being computed again."""
        return -self.scale * squared_distances(self.encode(inputs), self.vectors(edits))

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "text width"]:
        """Return the vectors of some texts; short ones and long ones go in separate passes."""
        vectors: list[Tensor] = []
        order: list[int] = []
        for rows in token_batches([len(ids) for ids in self.tokenizer(list(texts))["input_ids"]], MAX_TOKENS):
            batch = self.tokenizer([texts[row] for row in rows], padding=True, return_tensors="pt")
            batch = batch.to(next(self.model.parameters()).device)
            states = self.model(**batch).last_hidden_state
            vectors.append(pooled(states, batch["attention_mask"], self.pooling))
            order += rows
        place = torch.tensor(order, device=vectors[0].device).argsort()
        return torch.cat(vectors)[place]

    @torch.no_grad()
    def vectors(self, edits: Sequence[Descriptor]) -> Float[Tensor, "edit width"]:
        """Return the edits' vectors; those that were asked for before are not computed again.

        They hold for the weights as they are: `forget` them when the classifier is trained on.
        """
        texts = [scope_text(edit, self.tokenizer) for edit in edits]
        if new := [text for text in dict.fromkeys(texts) if text not in self._kept]:
            self._kept.update(zip(new, self.encode(new), strict=True))
        return torch.stack([self._kept[text] for text in texts])

    def forget(self) -> None:
        """Drop the vectors that are kept."""
        self._kept.clear()

    @torch.no_grad()
    def nearest(
        self, edits: Sequence[Descriptor], inputs: Sequence[str]
    ) -> tuple[Float[Tensor, " input"], Int[Tensor, " input"]]:
        """Return log g of each input's most likely edit, and which it is.

        Cost: one encoding of the inputs, and one product of two matrices.
        """
        best = self.kept_scores(edits, inputs).max(dim=1)
        return best.values, best.indices


class CrossScope:
    """The classifier that reads edit and input together.

    Args:
        model: a sequence classifier with two classes.
        tokenizer: its tokenizer.
    """

    form = CROSS

    def __init__(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase):
        self.model, self.tokenizer = model, tokenizer

    def log_scores(self, edits: Sequence[Descriptor], inputs: Sequence[str]) -> Float[Tensor, "input edit"]:
        """Return the log-probabilities of the class "in scope"."""
        pairs = [(edit, text) for text in inputs for edit in edits]
        return self.pair_scores(pairs).view(len(inputs), len(edits))

    def pair_scores(self, pairs: Sequence[tuple[Descriptor, str]]) -> Float[Tensor, " pair"]:
        """Return log g of given pairs."""
        separator = self.tokenizer.sep_token or ""
        texts = [f"{scope_text(edit, self.tokenizer)} {separator} {text}" for edit, text in pairs]
        scores, order = [], []
        for rows in token_batches([len(ids) for ids in self.tokenizer(texts)["input_ids"]], MAX_TOKENS):
            batch = self.tokenizer([texts[row] for row in rows], padding=True, return_tensors="pt")
            batch = batch.to(next(self.model.parameters()).device)
            scores.append(self.model(**batch).logits.float().log_softmax(-1)[:, 0])
            order += rows
        return torch.cat(scores)[torch.tensor(order, device=scores[0].device).argsort()]

    @torch.no_grad()
    def nearest(
        self, edits: Sequence[Descriptor], inputs: Sequence[str]
    ) -> tuple[Float[Tensor, " input"], Int[Tensor, " input"]]:
        """Return log g of each input's most likely edit, and which it is. Cost: a pass over every pair."""
        best = self.log_scores(edits, inputs).max(dim=1)
        return best.values, best.indices


FORMS = {EMBED: (EmbeddingScope, AutoModel), CROSS: (CrossScope, AutoModelForSequenceClassification)}


def pooled(
    states: Float[Tensor, "text pos width"], present: Int[Tensor, "text pos"], pooling: str
) -> Float[Tensor, "text width"]:
    """Return one vector of each text's states, padding (which stands on the right) left out."""
    if pooling == CLS:
        return states[:, 0]
    if pooling == LAST:
        return states[torch.arange(len(states)), present.sum(1) - 1]
    weights = present[:, :, None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def squared_distances(left: Float[Tensor, "row width"], right: Float[Tensor, "column width"]) -> Tensor:
    """Return |l - r|^2 of all pairs by one matrix product, never below 0."""
    product = left @ right.T
    return ((left * left).sum(1)[:, None] + (right * right).sum(1)[None] - 2 * product).clamp(min=0.0)


def start_scope(
    form: str, start: str | Path, pooling: str = CLS, layers: int | None = None
) -> EmbeddingScope | CrossScope:
    """Return an untrained classifier that starts from a pretrained encoder, a folder or a hub id.

    Args:
        pooling: of the form `embed`.
        layers: only the encoder's first so many blocks are taken (all if absent).

    Raises:
        ConfigError: an unknown form or pooling.
        ModelError: the encoder cannot be loaded.
    """
    if form not in FORMS:
        raise ConfigError(f"scope classifier of form {form!r} is unknown; expected {' or '.join(FORMS)}")
    if pooling not in POOLINGS:
        raise ConfigError(f"scope classifier: pooling {pooling!r} is unknown; expected {' or '.join(POOLINGS)}")
    kind, loader = FORMS[form]
    # Fused attention has a slow backward pass on a CPU.
    options: dict[str, Any] = {"attn_implementation": "eager"} | ({"num_labels": 2} if form == CROSS else {})
    options |= {"num_hidden_layers": layers} if layers else {}
    try:
        model = loader.from_pretrained(start, use_safetensors=True, ignore_mismatched_sizes=True, **options)
        tokenizer = AutoTokenizer.from_pretrained(start)
        tokenizer.padding_side = "right"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load {str(start)!r} as an encoder: {error}") from error
    return kind(model.eval(), tokenizer, *([pooling] if form == EMBED else []))


def save_scope(scope: EmbeddingScope | CrossScope, folder: Path) -> None:
    """Write a classifier to a folder."""
    scope.model.save_pretrained(folder)
    scope.tokenizer.save_pretrained(folder)
    embeds = isinstance(scope, EmbeddingScope)
    described = {"form": scope.form} | ({"pooling": scope.pooling, "scale": scope.scale} if embeds else {})
    write_json(folder / "scope.json", described)


def load_scope(folder: str | Path) -> EmbeddingScope | CrossScope:
    """Return a classifier that `save_scope` wrote."""
    described = read_json(Path(folder) / "scope.json")
    scope = start_scope(described["form"], folder, described.get("pooling", CLS))
    if isinstance(scope, EmbeddingScope):
        scope.scale = described.get("scale", 1.0)
    scope.model.requires_grad_(False)
    return scope
