"""Training a decoder on a fact book: the curriculum, the batches and the loop."""

import dataclasses
import logging
import random
import sys
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

from shared.errors import ConfigError, NumericalError
from shared.seeding import seed_for
from shared.world.decoder import DecoderShape, GrowingDecoder, make_optimisers, set_rates
from shared.world.documents import Document, DocumentOptions, DocumentSampler
from shared.world.factbook import FactBook

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a training run besides the facts, the tokenizer and the seed.

    Attributes:
        shape: size of the decoder.
        steps: optimiser steps in all.
        list_steps: steps of the first stage: list documents only, early blocks only.
        ramp_steps: steps over which the share of list documents falls to `list_share`.
        list_share: share of list documents after the ramp.
        article_steps: number of last steps in which articles (text without salad) take part.
        article_share: share of articles in these steps.
        rows: sequences per step.
        length: tokens per sequence.
        muon_rate: learning rate of the matrices.
        adam_rate: learning rate of everything else.
        early_rate: factor on the learning rate of the early blocks once the late ones exist.
        weight_decay: decoupled weight decay of the matrices.
        warmup: steps of linear warm-up; afterwards the rate falls linearly to 2 %.
        other_weight: weight of a token that belongs to no object in the loss; object tokens weigh 1.
        bare_start: share of sequences that begin without the end-of-text token.
        documents: how documents are sampled.
    """

    shape: DecoderShape
    steps: int
    list_steps: int
    ramp_steps: int = 100
    list_share: float = 0.4
    article_steps: int = 0
    article_share: float = 0.0
    rows: int = 8
    length: int = 128
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    early_rate: float = 1.0
    weight_decay: float = 0.01
    warmup: int = 100
    other_weight: float = 1.0
    bare_start: float = 0.5
    documents: DocumentOptions = field(default_factory=DocumentOptions)

    def __post_init__(self) -> None:
        if not 0 <= self.list_steps <= self.steps:
            raise ConfigError(f"recipe: list_steps = {self.list_steps}, expected 0..steps = {self.steps}")
        if self.length > self.shape.positions:
            raise ConfigError(
                f"recipe: length = {self.length} is more than the model's {self.shape.positions} positions"
            )

    def list_share_at(self, step: int) -> float:
        """Return the share of list documents at `step`."""
        if step < self.list_steps:
            return 1.0
        done = min(1.0, (step - self.list_steps) / max(1, self.ramp_steps))
        return 1.0 + (self.list_share - 1.0) * done

    def rate_at(self, step: int) -> float:
        """Return the factor on the base learning rates at `step`."""
        return min(1.0, (step + 1) / self.warmup) * max(0.02, 1.0 - step / self.steps)


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
        rows = [self._row(step) for _ in range(self._recipe.rows)]
        return torch.tensor([ids for ids, _ in rows]), torch.tensor([weights for _, weights in rows])

    def _row(self, step: int) -> tuple[list[int], list[float]]:
        length, other = self._recipe.length, self._recipe.other_weight
        ids: list[int] = [] if self._rng.random() < self._recipe.bare_start else [self._end]
        weights = [other] * len(ids)
        while len(ids) < length:
            # Encoding a few documents at once is cheaper; four rarely overshoot a row by much.
            documents = [self._document(step) for _ in range(4)]
            encodings = self._encode([document.text for document in documents], add_special_tokens=False)
            for document, encoding in zip(documents, encodings, strict=True):
                ids += [*encoding.ids, self._end]
                weights += [*self._weights(document, encoding.offsets), other]
        return ids[:length], weights[:length]

    def _weights(self, document: Document, offsets: list[tuple[int, int]]) -> list[float]:
        weights = [self._recipe.other_weight] * len(offsets)
        starts = [start for start, _ in offsets]
        for start, stop in document.objects:
            for token in range(bisect_left(starts, start), bisect_left(starts, stop)):
                weights[token] = 1.0
        return weights

    def _document(self, step: int) -> Document:
        recipe = self._recipe
        if self._rng.random() < recipe.list_share_at(step):
            return self._sampler.list_document()
        if step >= recipe.steps - recipe.article_steps and self._rng.random() < recipe.article_share:
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
    optimisers = make_optimisers(decoder, recipe.muon_rate, recipe.adam_rate, recipe.weight_decay)
    source = BatchSource(book, tokenizer, recipe, seed)
    model = decoder.model.train()
    losses: list[float] = []
    began = time.monotonic()
    for step in tqdm(range(recipe.steps), desc="training", disable=not sys.stderr.isatty()):
        if step == recipe.list_steps:
            decoder.grow()
        set_rates(optimisers, recipe.rate_at(step))
        losses.append(_update(model, optimisers, *source.batch(step), step))
        if (step + 1) % 100 == 0:
            mean = sum(losses[-100:]) / 100
            logger.info("step %d/%d loss %.3f %.0f s", step + 1, recipe.steps, mean, time.monotonic() - began)
    record = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "facts": {"name": book.name, "seed": book.seed, "count": len(book.facts)},
        "parameters": model.num_parameters(),
        "threads": torch.get_num_threads(),
        "tokens": recipe.steps * recipe.rows * recipe.length,
        "seconds": round(time.monotonic() - began, 1),
        "losses": [round(loss, 4) for loss in losses],
    }
    return model.eval(), record


def _update(
    model: GPT2LMHeadModel,
    optimisers: list[torch.optim.Optimizer],
    ids: Int[Tensor, "row pos"],
    weights: Float[Tensor, "row pos"],
    step: int,
) -> float:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=ids).logits[:, :-1]
    losses = cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
    wanted = weights[:, 1:].flatten()
    loss = (losses * wanted).sum() / wanted.sum()
    if not torch.isfinite(loss):
        raise NumericalError(f"training step {step}: the loss is {loss.item()}; lower the recipe's learning rates")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return loss.item()
