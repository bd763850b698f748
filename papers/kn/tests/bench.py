"""What batching, cached prefixes and starting at the changed layer gain, against layer by layer on padded prompts."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from papers.kn.attribution import AttributionSettings, attribute, strongest
from papers.kn.causal import CausalNetwork
from papers.kn.masked import MaskedNetwork
from papers.kn.network import Cloze, Network
from papers.kn.neurons import coarse
from papers.kn.tests.networks import word_tokenizer
from papers.kn.tests.oracle import attribute_slowly
from shared.data.templates import fill
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from tests.bench import Comparison, Setup

# What the authors' code pads every prompt to.
PADDED = 128
THRESHOLD = 0.2
SETTINGS = AttributionSettings()


def masked_like(lm: LM) -> MaskedNetwork:
    """Return a random BERT of a decoder's size."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(word_tokenizer()),
        hidden_size=lm.arch.d_model,
        num_hidden_layers=lm.arch.n_layers,
        num_attention_heads=4,
        intermediate_size=lm.arch.d_mlp,
        max_position_embeddings=PADDED,
    )
    return MaskedNetwork(LM(BertForMaskedLM(config).to(lm.device), word_tokenizer(), "bert-like"))


def _together(network: Network, clozes: Sequence[Cloze]) -> list[Tensor]:
    found = dict(attribute(network, clozes, SETTINGS))
    return [found[index].scores for index in range(len(clozes))]


def _difference(slow: Sequence[Tensor], fast: Sequence[Tensor]) -> float:
    """Return the largest difference relative to a prompt's greatest score.

    Raises:
        AssertionError: the two choose different neurons.
    """
    for one, other in zip(slow, fast, strict=True):
        chosen = [set(coarse(strongest(scores), THRESHOLD)) for scores in (one, other)]
        assert chosen[0] == chosen[1], "the two paths choose different neurons"
    return max(float((one - other).abs().max() / one.abs().max()) for one, other in zip(slow, fast, strict=True))


def _comparison(name: str, network: Network, clozes: Sequence[Cloze], length: int) -> Comparison:
    return Comparison(
        name,
        20,
        lambda: list(attribute_slowly(network, clozes, SETTINGS, length)),
        lambda: _together(network, clozes),
        _difference,
        "of the greatest score",
    )


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield attribution on the decoder, and on a masked model of its size; equal coarse neurons are asserted."""
    lm = setup.lm
    causal = CausalNetwork(lm)
    clozes = []
    for case in setup.cases[:2]:
        ids = tuple(encode(lm, fill(case.request.prompt, case.request.subject)))
        clozes.append(Cloze(ids, len(ids) - 1, target_ids(lm, case.request.target_true)[0]))
    yield _comparison(f"knowledge neurons of {len(clozes)} prompts, causal", causal, clozes, PADDED)
    masked = masked_like(lm)
    asked = [("Anna Bell works as a [MASK].", "doctor"), ("[MASK] is the work of Carl Dorn.", "pilot")]
    clozes = [masked.cloze(*pair) for pair in asked]
    yield _comparison(f"knowledge neurons of {len(clozes)} prompts, masked", masked, clozes, PADDED)
