"""The claim classifier: a BERT-like encoder with one logit that learns which claims about the world are true.

A verdict says one bit, from which an object is hard to learn. So the first steps teach the encoder which object a claim
should name, whatever object it does name, as a pre-trained BERT has learnt from text; what reads that object is thrown
away afterwards. Verdicts are then learned from pairs, a true and a false claim of one fact in one wording: what the two
share, which is everything but the object, cancels.
"""

import random
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from shared.inference.verdicts import claim_logits
from shared.model.models import LM
from shared.seeding import seed_for
from shared.world.division import Division
from shared.world.documents import filler_sentence
from shared.world.factbook import Fact, FactBook
from shared.world.family_tokenizers import word_tokenizer
from shared.world.lesson import FamilyRecipe, seeded
from shared.world.masked_encoder import encoder_config, encoder_texts, spread_words
from shared.world.optimisation import mixed_precision

DISTRACTED_SHARE = 0.2
RETRIEVAL_WEIGHT = 0.5
# Share of claims with a false object among those that objects are read from, at the end of the first steps.
FALSE_SHARE = 0.7
# Of the products of states and words: their spread then is near 1 at the start, as that of a layer's outputs.
WORD_SCALE = 0.3
EXAMINED = 1500


class ClaimLesson:
    """Claims in shown wordings, half of them false; some stand behind an unrelated sentence."""

    def __init__(self, book: FactBook, recipe: FamilyRecipe, seed: int):
        self._division = Division(book)
        self._rng = random.Random(seed_for("claims drawn", seed))
        self._recipe = recipe
        self.tokenizer = word_tokenizer(encoder_texts(book))
        seeded("claim classifier", seed)
        self.model = BertForSequenceClassification(encoder_config(self.tokenizer, recipe, labels=1))
        spread_words(self.model)
        # Objects are read by the word embeddings alone, so that states come to lie where the words do.
        self._filler = nn.ParameterDict({"bias": nn.Parameter(torch.zeros(len(self.tokenizer)))})
        self.learner = nn.ModuleDict({"classifier": self.model, "filler": self._filler})

    @cached_property
    def _shown(self) -> list[tuple[Fact, list[str]]]:
        return [(fact, self._division.claims(fact, shown=True)) for fact in self._division.shown_facts]

    def loss(self, step: int) -> Tensor:
        """Return the loss of one batch: objects to name first, then verdicts, and objects from the false claims."""
        if step < self._recipe.first_steps:
            drawn = self._rng.choices(self._shown, k=self._recipe.rows)
            false_share = FALSE_SHARE * step / self._recipe.first_steps
            claims = [f"{self._rng.choice(shown)} {self._unlike(fact, false_share)}." for fact, shown in drawn]
            return self._retrieval(self._read(claims).hidden_states, [fact for fact, _ in drawn])
        return self._verdict()

    def _unlike(self, fact: Fact, false_share: float) -> str:
        """Return another object of the relation, or the mask."""
        if self._rng.random() < false_share:
            return self._rng.choice(self._division.other_objects(fact))
        return self.tokenizer.mask_token

    def _read(self, claims: list[str]) -> SequenceClassifierOutput:
        batch = self.tokenizer(self._placed(claims), padding=True, return_tensors="pt")
        with mixed_precision():
            return self.model(**batch, output_hidden_states=True)

    def _retrieval(self, states: Sequence[Tensor], facts: list[Fact]) -> Tensor:
        """Return the mean negative log-likelihood of the objects' first words at `[CLS]`, where verdicts are read.

        They are read before the last block, which is left for comparing them with the objects that the claims name.
        """
        firsts = self.tokenizer.convert_tokens_to_ids([fact.object.split()[0] for fact in facts])
        with mixed_precision():
            products = states[self._recipe.layers - 1][:, 0] @ self.model.get_input_embeddings().weight.T
        return cross_entropy(WORD_SCALE * products.float() + self._filler["bias"], torch.tensor(firsts))

    def _verdict(self) -> Tensor:
        """Return the loss of pairs of claims, true ones in the even rows and false ones in the odd rows."""
        drawn = self._rng.choices(self._shown, k=self._recipe.rows // 2)
        claims = []
        for fact, shown in drawn:
            text = self._rng.choice(shown)
            claims += [f"{text} {answer}." for answer in (fact.object, self._unlike(fact, 1.0))]
        found = self._read(claims)
        labels = torch.tensor([1.0, 0.0]).repeat(len(drawn))
        verdicts = binary_cross_entropy_with_logits(found.logits[:, 0].float(), labels)
        false = [states[1::2] for states in found.hidden_states]
        return verdicts + RETRIEVAL_WEIGHT * self._retrieval(false, [fact for fact, _ in drawn])

    def _placed(self, claims: list[str]) -> list[str]:
        """Return the claims of a batch, in some batches behind unrelated sentences: so short ones need no padding."""
        if self._rng.random() < DISTRACTED_SHARE:
            return [f"{filler_sentence(self._rng)} {claim}" for claim in claims]
        return claims

    def measure(self, lm: LM) -> dict[str, float]:
        """Return shares of right verdicts, over as many true as false claims.

        `shown` wordings were part of training (with any false object), `hidden` ones were not shown for their fact; the
        `withheld` facts were never shown.
        """
        division = self._division
        rng = random.Random(seed_for("claim gate", division.book.seed))
        asked = {
            "shown": [(fact, text) for fact, shown in self._shown for text in shown],
            "hidden": [(fact, text) for fact, _ in self._shown for text in division.claims(fact, shown=False)],
            "withheld": [(fact, division.claims(fact, shown=True)[0]) for fact in division.facts["edit"]],
        }
        measured = {}
        for name, pairs in asked.items():
            chosen = rng.sample(pairs, min(EXAMINED, len(pairs)))
            true = claim_logits(lm, [f"{text} {fact.object}." for fact, text in chosen])
            false = claim_logits(lm, [f"{text} {rng.choice(division.other_objects(fact))}." for fact, text in chosen])
            measured[name] = ((true > 0).float().mean().item() + (false < 0).float().mean().item()) / 2
        return measured
