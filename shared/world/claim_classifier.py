"""The claim classifier: a BERT-like encoder with one logit that learns which claims about the world are true.

A verdict says one bit, from which an object is hard to learn. So the first steps teach the encoder which object a claim
should name, as a pre-trained BERT has learnt from text; the head for that is thrown away afterwards.
"""

import random
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import BertForSequenceClassification
from transformers.models.bert.modeling_bert import BertOnlyMLMHead

from shared.models import LM
from shared.seeding import seed_for
from shared.verdicts import claim_logits
from shared.world.division import Division
from shared.world.documents import filler_sentence
from shared.world.factbook import Fact, FactBook
from shared.world.family_tokenizers import word_tokenizer
from shared.world.lesson import FamilyRecipe, seeded
from shared.world.masked_encoder import encoder_config, encoder_texts, spread_words

DISTRACTED_SHARE = 0.2
RETRIEVAL_WEIGHT = 0.5
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
        self._filler = BertOnlyMLMHead(self.model.config)
        self._filler.predictions.decoder.weight = self.model.get_input_embeddings().weight
        self.learner = nn.ModuleDict({"classifier": self.model, "filler": self._filler})

    @cached_property
    def _shown(self) -> list[tuple[Fact, list[str]]]:
        return [(fact, self._division.claims(fact, shown=True)) for fact in self._division.shown_facts]

    def loss(self, step: int) -> Tensor:
        """Return the loss of one batch: objects to fill in first, then verdicts and objects together."""
        if step < self._recipe.first_steps:
            return self._retrieval()
        return self._verdict() + RETRIEVAL_WEIGHT * self._retrieval()

    def _retrieval(self) -> Tensor:
        """Return the mean negative log-likelihood of objects' first words at `[CLS]`, where verdicts are read.

        The object is hidden; it is read before the last block, which is left for comparing it with the one that stands
        in a claim.
        """
        drawn = self._rng.choices(self._shown, k=self._recipe.rows)
        claims = [f"{self._rng.choice(shown)} {self.tokenizer.mask_token}." for _, shown in drawn]
        batch = self.tokenizer(self._placed(claims), padding=True, return_tensors="pt")
        firsts = self.tokenizer.convert_tokens_to_ids([fact.object.split()[0] for fact, _ in drawn])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = self.model.bert(**batch, output_hidden_states=True).hidden_states[self._recipe.layers - 1]
            logits = self._filler(states[:, 0])
        return cross_entropy(logits.float(), torch.tensor(firsts))

    def _verdict(self) -> Tensor:
        claims, labels = [], []
        for fact, shown in self._rng.choices(self._shown, k=self._recipe.rows):
            true = self._rng.random() < 0.5
            answer = fact.object if true else self._rng.choice(self._division.other_objects(fact))
            claims.append(f"{self._rng.choice(shown)} {answer}.")
            labels.append(float(true))
        batch = self.tokenizer(self._placed(claims), padding=True, return_tensors="pt")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.model(**batch).logits[:, 0]
        return binary_cross_entropy_with_logits(logits.float(), torch.tensor(labels))

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
