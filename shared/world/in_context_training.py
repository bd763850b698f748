"""Teaching a decoder that knows its facts to read in-context documents.

    python -m shared.world.in_context_training --facts facts.json --start DIR --size small --out DIR

The decoder gets one more block behind those that look subjects up, more positions, and a token for each mark of the
documents. The block's query and key projections start equal, so that from the first step on a subject attends to its
earlier mention: without that the ability comes late or, within minutes of training, not at all. Its outputs start at
zero, so the function computed does not change. All blocks are trained: those before it learn to tell the words of a new
fact from those of a question, and without that no match can be told from the subject attending to itself.

Which sort of document is being read (see `in_context`) shows in earlier answers only. Without further help a decoder
had learnt next to nothing of this after a thousand steps; so linear readers of its states, which are thrown away
afterwards, must tell what a question is about and how earlier ones were answered.
"""

import argparse
import copy
import dataclasses
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import AddedToken, GPT2LMHeadModel, PreTrainedTokenizerBase

from shared import runtime
from shared.errors import ModelError, reported
from shared.model.models import load_lm
from shared.records import write_json
from shared.seeding import seed_for
from shared.world.decoder import rescale_stream
from shared.world.factbook import FactBook
from shared.world.folders import atomic_folder
from shared.world.gate import failures, read_thresholds
from shared.world.in_context import MARKS
from shared.world.in_context_batches import HINTS, Batch, ContextBatches
from shared.world.in_context_gate import facts_kept_for_tests, measure_in_context
from shared.world.in_context_recipes import RECIPES, ContextRecipe
from shared.world.optimisation import make_optimisers, mixed_precision, set_rates, take_step
from shared.world.tokenizer import load_tokenizer
from shared.world.training_run import run_steps, training_record

logger = logging.getLogger(__name__)


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
        ModelError: the model has fewer blocks before that place or less than two behind it, or more positions already.
    """
    transformer, config = model.transformer, model.config
    if not 0 < matching_block <= config.n_layer - 2 or positions < config.n_positions:
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
    readers = nn.Linear(model.config.n_embd, len(HINTS))
    optimisers = _optimisers(model, block, readers, recipe)
    source = ContextBatches(book, marked, recipe, facts_kept_for_tests(book), seed)
    parameters = [*model.train().parameters(), *readers.parameters()]

    def one_step(step: int) -> float:
        set_rates(optimisers, recipe.rate_at(step))
        return take_step(_loss(model, readers, source.batch(step), recipe), parameters, optimisers, step)

    losses, seconds = run_steps(recipe.steps, one_step)
    rescale_stream(model, recipe.stream_scale)
    return model.eval(), marked, training_record(recipe, book, seed, model, losses, seconds)


def _optimisers(
    model: GPT2LMHeadModel, block: nn.Module, readers: nn.Module, recipe: ContextRecipe
) -> list[torch.optim.Optimizer]:
    """Return Muon for the added block's matrices, slower for the other blocks', and AdamW for the rest."""
    matrices = {name: p for name, p in model.named_parameters() if ".h." in name and p.ndim == 2}
    added = {id(parameter) for parameter in block.parameters()}
    optimisers = make_optimisers(
        [p for p in matrices.values() if id(p) not in added],
        [*(p for name, p in model.named_parameters() if name not in matrices), *readers.parameters()],
        muon_rate=recipe.muon_rate * recipe.old_rate,
        adam_rate=recipe.adam_rate,
        weight_decay=recipe.weight_decay,
    )
    own = [p for p in matrices.values() if id(p) in added]
    optimisers[0].add_param_group({"params": own, "lr": recipe.muon_rate, "base_rate": recipe.muon_rate})
    return optimisers


def _loss(model: GPT2LMHeadModel, readers: nn.Linear, batch: Batch, recipe: ContextRecipe) -> Tensor:
    """Return the weighted mean loss; the vocabulary is projected to where a weight is above 0 only.

    The readers' loss on the hints is added. They read the first two behind the block that follows the added one, which
    is where a match can first be known at the question's end, and the third, which needs the second of other parts,
    one block later.
    """
    ids, weights = batch.ids[:, 1:], batch.weights[:, 1:]
    wanted = weights > 0
    with mixed_precision():
        output = model.transformer(input_ids=batch.ids, position_ids=batch.positions, output_hidden_states=True)
        logits = model.lm_head(output.last_hidden_state[:, :-1][wanted])
    losses = cross_entropy(logits.float(), ids[wanted], reduction="none")
    loss = (losses * weights[wanted]).sum() / weights[wanted].sum()
    told = batch.hints >= 0
    if recipe.hints and told.any():
        first, second = (output.hidden_states[recipe.matching_block + 1 + blocks] for blocks in (1, 2))
        with mixed_precision():
            read = torch.cat([readers(first)[..., :2], readers(second)[..., 2:]], dim=-1)
        loss = loss + recipe.hints * binary_cross_entropy_with_logits(read[told].float(), batch.hints[told].float())
    return loss


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
