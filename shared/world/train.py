"""Training a decoder on a fact book: the curriculum, the batches and the loop."""

import random
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

from shared.errors import ConfigError
from shared.seeding import seed_for
from shared.world.decoder import DecoderShape, GrowingDecoder, block_matrices, rescale_stream
from shared.world.documents import Document, DocumentOptions, DocumentSampler
from shared.world.factbook import FactBook
from shared.world.optimisation import make_optimisers, mixed_precision, rate_factor, set_rates, take_step
from shared.world.training_run import StepRecipe, run_steps, training_record

Stage = Literal["list", "frozen", "settle"]


@dataclass(frozen=True)
class Recipe(StepRecipe):
    """Everything that determines a training run besides the facts, the tokenizer and the seed.

    Training has three stages, each with its own warm-up of the rates and linear decay to 2 %. In the *list* stage the
    early blocks alone learn list documents: they become the site that looks attributes up at the subject's last token.
    In the *frozen* stage the late blocks are added and learn, with statements in salad, to read what the early ones
    supply; the early blocks, being frozen, cannot learn to do the lookup at later tokens instead. In the *settle* stage
    everything is trained at a lower rate, and articles (text without salad) take part.

    Attributes:
        shape: size of the decoder.
        list_steps, frozen_steps, settle_steps: optimiser steps of the stages.
        list_share: share of list documents after the first stage.
        article_share: share of articles among the other documents of the last stage.
        list_length: tokens per sequence in the first stage, and in every second step afterwards: short ones are
            learned faster, and more of them begin at position 0.
        length: tokens per sequence in the other steps.
        settle_rate: factor on the learning rates in the last stage.
        other_weight: weight of a token that belongs to no object in the loss; object tokens weigh 1.
        bare_start: share of sequences that begin without the end-of-text token.
        documents: how documents are sampled.
    """

    shape: DecoderShape
    list_steps: int
    frozen_steps: int
    settle_steps: int
    list_share: float = 0.4
    article_share: float = 0.3
    list_length: int = 64
    length: int = 128
    settle_rate: float = 0.6
    other_weight: float = 0.1
    bare_start: float = 0.5
    documents: DocumentOptions = field(default_factory=DocumentOptions)

    def __post_init__(self) -> None:
        if min(self.list_steps, self.frozen_steps, self.settle_steps) < 1:
            raise ConfigError("recipe: list_steps, frozen_steps and settle_steps must be 1 or more")
        for name, length in (("list_length", self.list_length), ("length", self.length)):
            self.require_rows(name, length, self.shape.positions)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.list_steps + self.frozen_steps + self.settle_steps

    def stage_at(self, step: int) -> Stage:
        """Return the stage that `step` belongs to."""
        if step < self.list_steps:
            return "list"
        return "frozen" if step < self.list_steps + self.frozen_steps else "settle"

    def rate_at(self, step: int) -> float:
        """Return the factor on the base learning rates at `step`."""
        starts = {"list": 0, "frozen": self.list_steps, "settle": self.list_steps + self.frozen_steps}
        lengths = {"list": self.list_steps, "frozen": self.frozen_steps, "settle": self.settle_steps}
        stage = self.stage_at(step)
        done = step - starts[stage]
        scale = self.settle_rate if stage == "settle" else 1.0
        return rate_factor(done, lengths[stage], self.warmup, scale)


class BatchSource:
    """Turns sampled documents into rows of token ids; a row starts with a document, often without end-of-text."""

    def __init__(self, book: FactBook, tokenizer: PreTrainedTokenizerBase, recipe: Recipe, seed: int):
        self._recipe = recipe
        self._rng = random.Random(seed_for("documents", seed))
        self._sampler = DocumentSampler(book, self._rng, recipe.documents)
        self._encode = tokenizer.backend_tokenizer.encode_batch
        self._end = tokenizer.eos_token_id

    def batch(self, step: int) -> tuple[Int[Tensor, "row pos"], Float[Tensor, "row pos"]]:
        """Return the tokens of `step` and their weights in the loss.

        Calls must follow the order of steps: the generator's state carries over.
        """
        recipe = self._recipe
        stage = recipe.stage_at(step)
        length = recipe.list_length if stage == "list" or step % 2 else recipe.length
        rows = [self._row(stage, length) for _ in range(recipe.tokens // length)]
        return torch.tensor([ids for ids, _ in rows]), torch.tensor([weights for _, weights in rows])

    def _row(self, stage: Stage, length: int) -> tuple[list[int], list[float]]:
        other = self._recipe.other_weight
        ids: list[int] = [] if self._rng.random() < self._recipe.bare_start else [self._end]
        weights = [other] * len(ids)
        while len(ids) < length:
            # Encoding a few documents at once is cheaper; four rarely overshoot a row by much.
            documents = [self._document(stage) for _ in range(4)]
            encodings = self._encode([document.text for document in documents], add_special_tokens=False)
            for document, encoding in zip(documents, encodings, strict=True):
                ids += [*encoding.ids, self._end]
                weights += [*self._weights(document, encoding.offsets), other]
        return ids[:length], weights[:length]

    def _weights(self, document: Document, offsets: list[tuple[int, int]]) -> list[float]:
        weights = [self._recipe.other_weight] * len(offsets)
        starts = [start for start, _ in offsets]
        for start, stop in document.objects:
            first, end = bisect_left(starts, start), bisect_left(starts, stop)
            weights[first:end] = [0.0 if document.first_tokens_only else 1.0] * (end - first)
            weights[first] = 1.0
        return weights

    def _document(self, stage: Stage) -> Document:
        recipe = self._recipe
        if stage == "list" or self._rng.random() < recipe.list_share:
            return self._sampler.list_document()
        if stage == "settle" and self._rng.random() < recipe.article_share:
            return self._sampler.article()
        return self._sampler.statement_document()


def train_decoder(
    book: FactBook, tokenizer: PreTrainedTokenizerBase, recipe: Recipe, seed: int
) -> tuple[GPT2LMHeadModel, dict[str, Any]]:
    """Train a decoder from scratch and return it with its training record (recipe, losses, seconds).

    The result depends only on the arguments and, through floating-point order, on the number of threads.

    Raises:
        NumericalError: if the loss stops being finite.
    """
    decoder = GrowingDecoder(recipe.shape, len(tokenizer), seed_for("decoder", seed) % 2**31)
    optimisers = make_optimisers(
        *block_matrices(decoder),
        muon_rate=recipe.muon_rate,
        adam_rate=recipe.adam_rate,
        weight_decay=recipe.weight_decay,
    )
    source = BatchSource(book, tokenizer, recipe, seed)
    model = decoder.model.train()

    def one_step(step: int) -> float:
        if step == recipe.list_steps:
            decoder.grow()
        decoder.freeze_early(recipe.stage_at(step) == "frozen")
        set_rates(optimisers, recipe.rate_at(step))
        return _update(model, optimisers, *source.batch(step), step)

    losses, seconds = run_steps(recipe.steps, one_step)
    rescale_stream(model, recipe.stream_scale)
    return model.eval(), training_record(recipe, book, seed, model, losses, seconds)


def _update(
    model: GPT2LMHeadModel,
    optimisers: list[torch.optim.Optimizer],
    ids: Int[Tensor, "row pos"],
    weights: Float[Tensor, "row pos"],
    step: int,
) -> float:
    with mixed_precision():
        logits = model(input_ids=ids).logits[:, :-1]
    losses = cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
    wanted = weights[:, 1:].flatten()
    loss = (losses * wanted).sum() / wanted.sum()
    return take_step(loss, model.parameters(), optimisers, step)
