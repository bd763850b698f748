"""Teaching a decoder that knows its facts to read in-context documents.

    python -m shared.world.in_context_training --facts facts.json --start DIR --size small --out DIR

The decoder gets one more block behind those that look subjects up, more positions, and a token for each mark of the
documents. The block's query and key projections start equal, so that from the first step on a subject attends to its
earlier mention: without that the ability comes late or, within minutes of training, not at all. Its outputs start at
zero, so the function computed does not change. All blocks are trained: those before it learn to tell the words of a new
fact from those of a question, and without that no match can be told from the subject attending to itself.
"""

import argparse
import copy
import dataclasses
import logging
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import AddedToken, GPT2LMHeadModel, PreTrainedTokenizerBase

from shared import runtime
from shared.errors import ConfigError, ModelError, reported
from shared.models import load_lm
from shared.records import write_json
from shared.seeding import seed_for
from shared.world.decoder import rescale_stream
from shared.world.documents import DocumentSampler
from shared.world.factbook import FactBook
from shared.world.folders import atomic_folder
from shared.world.gate import failures, read_thresholds
from shared.world.in_context import END_MARK, FACT_MARK, MARKS, PROMPT_MARK, ContextOptions, ContextSampler
from shared.world.in_context_gate import facts_kept_for_tests, measure_in_context
from shared.world.optimisation import set_rates, take_step
from shared.world.tokenizer import load_tokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """Part of the training.

    Attributes:
        until: share of all steps at which it ends.
        lengths: tokens per row, in turn from step to step.
        echo: whether a document's first question about another subject is mostly answered with the new object.
        words: weight in the loss of a question's words; the answer's tokens weigh 1, the new fact's words a quarter of
            this. Words teach the first stage to recognise a name it has just read; later they would only be noise.
    """

    until: float
    lengths: tuple[int, ...]
    echo: bool
    words: float = 0.0


@dataclass(frozen=True)
class ContextRecipe:
    """Everything that determines the teaching besides the facts, the model that it starts from, and the seed.

    Attributes:
        steps: optimiser steps.
        stages: in order; single questions first, since in them the match of two mentions is learned, then longer
            documents of both kinds.
        positions: positions of the taught model.
        matching_block: index of the added block; the blocks before it look subjects up.
        tokens: tokens per step.
        plain_share: share of ordinary documents, which keep the facts known.
        anywhere: share of the rows that begin at a random position instead of the first, so that what short rows teach
            holds at all positions.
        muon_rate: learning rate of the added block's matrices.
        old_rate: factor on it for the other blocks' matrices.
        adam_rate: learning rate of everything else.
        weight_decay: decoupled weight decay of the matrices.
        warmup: steps of linear warm-up.
        decay: share of the steps, at the end, over which the rates fall to 2 %.
        stream_scale: factor on the residual stream that the starting model got, see `rescale_stream`; it is taken back
            for the training and put on again.
        documents: how in-context documents are sampled.
    """

    steps: int
    stages: tuple[Stage, ...]
    positions: int
    matching_block: int
    tokens: int = 1024
    plain_share: float = 0.25
    anywhere: float = 0.5
    muon_rate: float = 0.015
    old_rate: float = 0.6
    adam_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 30
    decay: float = 0.4
    stream_scale: float = 2.5
    documents: ContextOptions = field(default_factory=ContextOptions)

    def __post_init__(self) -> None:
        bounds = [stage.until for stage in self.stages]
        if not bounds or bounds != sorted(bounds) or bounds[-1] != 1:
            raise ConfigError(f"in-context recipe: stages end at {bounds}, expected rising shares with 1 last")
        longest = max(max(stage.lengths) for stage in self.stages)
        if longest > min(self.positions, self.tokens):
            raise ConfigError(f"in-context recipe: rows of {longest} tokens do not fit positions or tokens per step")

    def stage_at(self, step: int) -> Stage:
        """Return the stage that `step` belongs to."""
        return next(stage for stage in self.stages if step < stage.until * self.steps)

    def rate_at(self, step: int) -> float:
        """Return the factor on the base learning rates at `step`."""
        left = (self.steps - step) / (self.decay * self.steps)
        return min(1.0, (step + 1) / self.warmup) * max(0.02, min(1.0, left))


RECIPES = {
    "tiny": ContextRecipe(
        steps=320,
        stages=(Stage(0.7, (24,), False, 0.2), Stage(1.0, (192,), True)),
        positions=256,
        matching_block=3,
    ),
    "small": ContextRecipe(
        steps=2500,
        stages=(
            Stage(0.3, (24,), False, 0.2),
            Stage(0.5, (48, 96), False),
            Stage(1.0, (192,), True),
        ),
        positions=256,
        matching_block=4,
    ),
}


def add_marks(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return a copy of the tokenizer with one token for each mark of the documents, behind its own."""
    marked = copy.deepcopy(tokenizer)
    marked.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    return marked


@torch.no_grad()
def extend(model: GPT2LMHeadModel, vocabulary: int, positions: int, matching_block: int) -> nn.Module:
    """Give the model more tokens, positions and one block at `matching_block`, and return the block.

    The block starts as the identity map. New positions start as the old ones, repeated; waves of several lengths are
    added to all, so that positions near each other are alike and repeated ones are not.

    Raises:
        ModelError: the model has fewer blocks before that place, or more positions already.
    """
    transformer, config = model.transformer, model.config
    if not 0 < matching_block <= config.n_layer or positions < config.n_positions:
        raise ModelError(
            f"the starting model has {config.n_layer} blocks and {config.n_positions} positions: it cannot get a block "
            f"at {matching_block} and {positions} positions"
        )
    model.resize_token_embeddings(vocabulary)
    repeated = transformer.wpe.weight[torch.arange(positions) % config.n_positions]
    transformer.wpe = nn.Embedding.from_pretrained(repeated + _waves(positions, config.n_embd), freeze=False)
    config.n_positions = positions
    block = copy.deepcopy(transformer.h[0])
    for name, parameter in block.named_parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.02)
        else:
            nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)
    width = config.n_embd
    equal = torch.linalg.qr(torch.randn(width, width))[0]
    block.attn.c_attn.weight[:, :width] = equal
    block.attn.c_attn.weight[:, width : 2 * width] = equal
    for projection in (block.attn.c_proj, block.mlp.c_proj):
        nn.init.zeros_(projection.weight)
    transformer.h.insert(matching_block, block)
    for index, one in enumerate(transformer.h):
        one.attn.layer_idx = index
    config.n_layer = len(transformer.h)
    return block


def _waves(positions: int, width: int) -> Float[Tensor, "pos d_model"]:
    """Return sines and cosines of eight lengths from 16 to 512 positions, in random directions, of norm 0.5 in all."""
    lengths = torch.logspace(math.log10(16), math.log10(512), 8)
    angles = 2 * math.pi * torch.arange(positions)[:, None] / lengths
    directions = torch.linalg.qr(torch.randn(width, width))[0][: 2 * len(lengths)]
    return torch.cat([angles.sin(), angles.cos()], dim=1) @ directions / (2 * len(lengths) ** 0.5)


class ContextBatches:
    """Turns sampled documents into rows of token ids with their weights in the loss."""

    def __init__(
        self,
        book: FactBook,
        tokenizer: PreTrainedTokenizerBase,
        recipe: ContextRecipe,
        held_out: Sequence[tuple[str, str]],
        seed: int,
    ):
        self._recipe, self._rng = recipe, random.Random(seed_for("in-context documents", seed))
        self._contexts = ContextSampler(book, self._rng, recipe.documents, held_out)
        self._plain = DocumentSampler(book, self._rng)
        self._encode = tokenizer.backend_tokenizer.encode
        self._end = tokenizer.eos_token_id
        self._marks = [tokenizer.convert_tokens_to_ids(mark) for mark in (FACT_MARK, PROMPT_MARK, END_MARK)]

    def batch(self, step: int) -> tuple[Int[Tensor, "row pos"], Float[Tensor, "row pos"], Int[Tensor, "row pos"]]:
        """Return the tokens of `step`, their weights and their positions; calls must follow the order of steps."""
        stage = self._recipe.stage_at(step)
        length = stage.lengths[step % len(stage.lengths)]
        rows = []
        for _ in range(self._recipe.tokens // length):
            if self._rng.random() < self._recipe.plain_share:
                rows.append(self._plain_row(length))
            else:
                rows.append(self._context_row(length, stage))
        most = self._recipe.positions - length
        first = [self._rng.randint(0, most) if self._rng.random() < self._recipe.anywhere else 0 for _ in rows]
        positions = torch.tensor(first)[:, None] + torch.arange(length)
        return torch.tensor([ids for ids, _ in rows]), torch.tensor([weights for _, weights in rows]), positions

    def _context_row(self, length: int, stage: Stage) -> tuple[list[int], list[float]]:
        fact_mark, prompt_mark, end_mark = self._marks
        words = stage.words
        ids: list[int] = []
        weights: list[float] = []
        # No part has fewer than ten tokens.
        for part in self._contexts.chain(length // 10 + 1, stage.echo):
            fact, prompt = self._ids(f" {part.fact} {part.new}"), self._ids(f" {part.prompt}")
            answer = self._ids(f" {part.answer}")
            ids += [fact_mark, *fact, prompt_mark, *prompt, *answer, end_mark]
            weights += [0.0, *[words / 4] * len(fact), 0.0, *[words] * len(prompt), *[1.0] * len(answer), 0.1]
            if len(ids) >= length:
                return ids[:length], weights[:length]
        raise AssertionError("a document is shorter than its row")

    def _plain_row(self, length: int) -> tuple[list[int], list[float]]:
        ids: list[int] = [] if self._rng.random() < 0.5 else [self._end]
        weights = [0.1] * len(ids)
        while len(ids) < length:
            ticket = self._rng.random()
            sampler = self._plain
            document = (
                sampler.list_document()
                if ticket < 0.3
                else sampler.article()
                if ticket < 0.6
                else sampler.statement_document()
            )
            encoding = self._encode(document.text, add_special_tokens=False)
            inside = [any(b <= start < stop for b, stop in document.objects) for start, _ in encoding.offsets]
            ids += [*encoding.ids, self._end]
            weights += [*(1.0 if one else 0.1 for one in inside), 0.1]
        return ids[:length], weights[:length]

    def _ids(self, text: str) -> list[int]:
        return self._encode(text, add_special_tokens=False).ids


def teach(
    book: FactBook,
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: ContextRecipe,
    seed: int,
) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerBase, dict[str, Any]]:
    """Return a taught copy of a trained decoder, its tokenizer with the marks, and the training record.

    The facts of `facts_kept_for_tests` are never changed in a document. The result depends only on the arguments and,
    through floating-point order, on the number of threads.

    Raises:
        ModelError: the model does not fit the recipe.
        NumericalError: the loss stops being finite.
    """
    torch.manual_seed(seed_for("in-context decoder", seed) % 2**31)
    marked, model = add_marks(tokenizer), copy.deepcopy(model)
    model.set_attn_implementation("eager")
    rescale_stream(model, 1 / recipe.stream_scale)
    block = extend(model, len(marked), recipe.positions, recipe.matching_block)
    optimisers = _optimisers(model, block, recipe)
    source = ContextBatches(book, marked, recipe, facts_kept_for_tests(book), seed)
    model.train()
    losses: list[float] = []
    began = time.monotonic()
    for step in tqdm(range(recipe.steps), desc="teaching", disable=not sys.stderr.isatty()):
        set_rates(optimisers, recipe.rate_at(step))
        losses.append(take_step(_loss(model, *source.batch(step)), list(model.parameters()), optimisers, step))
        if (step + 1) % 100 == 0:
            mean = sum(losses[-100:]) / 100
            logger.info("step %d/%d loss %.3f %.0f s", step + 1, recipe.steps, mean, time.monotonic() - began)
    rescale_stream(model, recipe.stream_scale)
    record = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "facts": {"name": book.name, "seed": book.seed, "count": len(book.facts)},
        "parameters": model.num_parameters(),
        "threads": torch.get_num_threads(),
        "tokens": recipe.steps * recipe.tokens,
        "seconds": round(time.monotonic() - began, 1),
        "losses": [round(loss, 4) for loss in losses],
    }
    return model.eval(), marked, record


def _optimisers(model: GPT2LMHeadModel, block: nn.Module, recipe: ContextRecipe) -> list[torch.optim.Optimizer]:
    """Return Muon for the added block's matrices, a slower one for the others', and AdamW for the rest."""
    matrices = {name: p for name, p in model.named_parameters() if ".h." in name and p.ndim == 2}
    added = {id(parameter) for parameter in block.parameters()}
    muon = {"weight_decay": recipe.weight_decay, "momentum": 0.95}
    groups = [
        ([p for p in matrices.values() if id(p) in added], recipe.muon_rate),
        ([p for p in matrices.values() if id(p) not in added], recipe.muon_rate * recipe.old_rate),
    ]
    rest = [p for name, p in model.named_parameters() if name not in matrices]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.Muon(own, lr=rate, **muon) for own, rate in groups]
    optimisers.append(torch.optim.AdamW(rest, lr=recipe.adam_rate, betas=(0.9, 0.98), weight_decay=0.0))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["base_rate"] = group["lr"]
    return optimisers


def _loss(
    model: GPT2LMHeadModel,
    ids: Int[Tensor, "row pos"],
    weights: Float[Tensor, "row pos"],
    positions: Int[Tensor, "row pos"],
) -> Tensor:
    """Return the weighted mean loss; the vocabulary is projected to where a weight is above 0 only."""
    wanted = weights[:, 1:] > 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.transformer(input_ids=ids, position_ids=positions).last_hidden_state[:, :-1]
        logits = model.lm_head(hidden[wanted])
    losses = cross_entropy(logits.float(), ids[:, 1:][wanted], reduction="none")
    return (losses * weights[:, 1:][wanted]).sum() / weights[:, 1:][wanted].sum()


def teach_and_gate(options: argparse.Namespace) -> int:
    """Teach a decoder, write its folder, and its card if it passes its gate; return 1 if it does not."""
    recipe = dataclasses.replace(RECIPES[options.size], **({"steps": options.steps} if options.steps else {}))
    book = FactBook.load(options.facts)
    start = GPT2LMHeadModel.from_pretrained(str(options.start))
    model, tokenizer, record = teach(book, start, load_tokenizer(options.start), recipe, options.seed)
    gate = f"context-{options.size}"
    with atomic_folder(options.out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(folder / "training.json", {"size": gate, **record})
    logger.info("%s: taught in %.0f s", options.out, record["seconds"])
    measured = measure_in_context(load_lm(str(options.out)), book)
    thresholds = read_thresholds(gate)
    missed = failures(measured, thresholds)
    card = {
        "passed": not missed,
        "thresholds": thresholds,
        "measured": measured,
        "training": {key: value for key, value in record.items() if key != "losses"},
    }
    write_json(options.out / ("card.failed.json" if missed else "card.json"), card)
    if missed:
        logger.error("%s does not pass its gate: %s", options.out, "; ".join(missed))
        return 1
    logger.info("%s passes its gate: %s", options.out, {name: round(measured[name], 3) for name in thresholds})
    return 0


@reported(logger)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m shared.world.in_context_training", description=__doc__)
    parser.add_argument("--facts", type=Path, required=True, help="facts.json that the starting model was trained on")
    parser.add_argument("--start", type=Path, required=True, help="folder of the starting model")
    parser.add_argument("--size", choices=sorted(RECIPES), required=True, help="recipe, and gate context-<size>")
    parser.add_argument("--steps", type=int, help="optimiser steps instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; card.json appears if it passes")
    options = parser.parse_args(arguments)
    runtime.start(options.threads)
    if teach_and_gate(options):
        raise ModelError(f"{options.out} is not handed on; what was measured: {options.out / 'card.failed.json'}")


if __name__ == "__main__":
    main()
