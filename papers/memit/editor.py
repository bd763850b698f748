"""MEMIT as an editor: many facts at once, or many independent edits of one fact each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import torch

from papers.memit.conflicts import refuse_conflicts
from papers.memit.hyperparams import MemitHyperparams
from papers.memit.insertion import Insertion, insert_each, insert_redrawn, insert_together
from papers.memit.stored_targets import StoredTargets, made_from
from papers.memit.targets import Target, Wanted, search_targets, values_of, wanted_targets
from shared.data.requests import EditRequest
from shared.editing.editors import register
from shared.edits.deltas import Edit
from shared.errors import ConfigError
from shared.fit.contexts import in_contexts, sample_contexts
from shared.fit.moments import digests
from shared.fit.second_moment import SecondMoments, require_size
from shared.model.models import LM
from shared.model.tokens import Prompt
from shared.traces.subject_noise import NoiseSource, corrupted, noise_sources

# First words of the sampled contexts (code `get_context_templates`).
CONTEXT_STARTS = ("The", "Therefore", "Because", "I", "You")


class MemitEditor:
    """MEMIT with its settings, second moments and contexts.

    Args:
        moments: file written by `python -m shared.fit.moments`, or loaded moments, of the edited layers' keys.
        contexts: context templates, "{}" first; sampled from the model (seeded) if absent.
        context_starts, context_length: first words of the sampled contexts, and their total tokens.
        context_seed: seed of the sampled contexts.
        targets: files of z vectors written by `python -m papers.memit.search`; then none is searched for, and a request
            that they do not hold is refused. Without files, all are searched for.
        site_moments: second moments of the attentions' keys, where these are edited (`site: attention`).
        conflicts: `refuse` requests that want different objects of one fact, or `allow` them.
        max_tokens: bound on the padded tokens of one forward pass.
        settings: fields of `MemitHyperparams`.

    Raises:
        ConfigError: settings out of range, or moments missing.
    """

    name = "memit"

    def __init__(
        self,
        *,
        moments: str | Path | SecondMoments | None = None,
        contexts: Sequence[str] | None = None,
        context_starts: Sequence[str] = CONTEXT_STARTS,
        context_length: int = 10,
        context_seed: int = 0,
        targets: str | Path | Sequence[str | Path] | None = None,
        site_moments: str | Path | SecondMoments | None = None,
        conflicts: str = "refuse",
        max_tokens: int = 8192,
        **settings: Any,
    ):
        self.hyperparams = MemitHyperparams(**settings)
        if self.hyperparams.site == "attention":
            moments = site_moments
        if moments is None:
            name = "moments" if self.hyperparams.site == "mlp" else "site_moments"
            raise ConfigError(f"MEMIT needs `{name}`: collect them with python -m shared.fit.moments")
        if contexts is not None and (not contexts or contexts[0] != "{}"):
            raise ConfigError(f"contexts begin with {list(contexts)[:1]}, expected the plain '{{}}' first")
        if conflicts not in ("refuse", "allow"):
            raise ConfigError(f"conflicts is {conflicts!r}, expected 'refuse' or 'allow'")
        self.max_tokens, self._refuses = max_tokens, conflicts == "refuse"
        self._moments, self._given = moments, contexts
        self._sampling = (context_starts, [(context_length, 1)], context_seed)
        self._sampled: WeakKeyDictionary = WeakKeyDictionary()
        files = [targets] if isinstance(targets, str | Path) else targets
        self._stored = None if files is None else StoredTargets.load(files)

    def contexts(self, lm: LM) -> list[str]:
        """Return the context templates, sampled once per model."""
        if self._given is not None:
            return list(self._given)
        if lm.model not in self._sampled:
            self._sampled[lm.model] = sample_contexts(lm, *self._sampling, paper="memit")
        return self._sampled[lm.model]

    def moments(self, lm: LM) -> SecondMoments:
        """Return the second moments, checked once against the model (ModelError if they belong to another)."""
        if not isinstance(self._moments, SecondMoments):
            self._moments = SecondMoments.load(self._moments)
        if lm.model not in self._moments.verified:
            if "model" in self._moments.made_from:
                site = {} if self.hyperparams.site == "mlp" else {"site": self.hyperparams.site}
                self._moments.require(digests(lm) | site, f"the model {lm.name}")
            self._moments.verified.add(lm.model)
        if self.hyperparams.site == "mlp":
            require_size(lm, self._moments, self.hyperparams.layers)
        return self._moments

    def _targets(
        self,
        lm: LM,
        wanted: Sequence[Wanted],
        prompts: Sequence[Sequence[Prompt]],
        noises: Sequence[NoiseSource | None] | None = None,
    ) -> list[Target]:
        """Return the z vectors that are wanted: the stored ones if there are files, else by searching."""
        if self._stored is not None:
            self._stored.require(made_from(lm, self.hyperparams, self.contexts(lm)))
            return [self._stored.find(one) for one in wanted]
        found = search_targets(lm, wanted, prompts, self.hyperparams, self.max_tokens, noises)
        return [Target.of(result) for result in found]

    def _prepare(self, lm: LM, requests: Sequence[EditRequest]) -> tuple[list[list[Prompt]], SecondMoments]:
        contexts, fact_token = self.contexts(lm), self.hyperparams.fact_token
        return [in_contexts(lm, request, contexts, fact_token) for request in requests], self.moments(lm)

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return the edit that makes all requests hold together (§4.3).

        The result does not depend on the order of the requests, beyond rounding.

        Raises:
            DataError: two requests want different objects of one fact, or a stored target is missing.
        """
        if self.hyperparams.subject_noise is not None:
            raise ConfigError("MEMIT corrupts subjects in single edits only: leave subject_noise out, or edit each")
        if self._refuses:
            refuse_conflicts(requests)
        prompts, moments = self._prepare(lm, requests)
        began = perf_counter()
        wanted = wanted_targets(requests, self.hyperparams.repeats)
        found = self._targets(lm, wanted, prompts)
        values = values_of(lm, wanted, found, prompts, self.hyperparams.z_layer, self.max_tokens)
        searched = perf_counter()
        made = insert_together(lm, prompts, values, self.hyperparams, moments, max_tokens=self.max_tokens)
        info = _search_info(found) | _insertion_info(made)
        seconds = {"search_seconds": searched - began, "insertion_seconds": perf_counter() - searched}
        return Edit(made.deltas, {"n_requests": len(requests), "n_targets": len(found)} | info | seconds)

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one independent edit per request, computed in batches where the edited site allows it."""
        if self.hyperparams.site != "mlp":
            return [self.edit(lm, [request]) for request in requests]
        prompts, moments = self._prepare(lm, requests)
        noise = self.hyperparams.subject_noise
        noises = noise_sources(noise, prompts, lm.arch.d_model)
        redrawn = noise is not None and noise.redrawn
        prompts = prompts if redrawn else corrupted(prompts, noises)
        found = self._targets(lm, wanted_targets(requests), prompts, noises)
        if redrawn:
            return [self._edit_redrawn(lm, *own, moments) for own in zip(prompts, found, noises, strict=True)]
        edits = []
        for batch in _runs([sum(len(prompt.ids) for prompt in contexts) for contexts in prompts], self.max_tokens):
            wanted = torch.stack([found[place].value for place in batch]).to(lm.device)
            chosen = [prompts[place] for place in batch]
            made = insert_each(lm, chosen, wanted, self.hyperparams, moments, max_tokens=self.max_tokens)
            edits += [
                Edit(own.deltas, _search_info([found[place]]) | _insertion_info(own))
                for place, own in zip(batch, made, strict=True)
            ]
        return edits

    def _edit_redrawn(
        self, lm: LM, prompts: Sequence[Prompt], found: Target, noise: NoiseSource, moments: SecondMoments
    ) -> Edit:
        made = insert_redrawn(lm, prompts, found.value.to(lm.device), self.hyperparams, moments, noise)
        return Edit(made.deltas, _search_info([found]) | _insertion_info(made))


def _runs(sizes: Sequence[int], most: int) -> Iterator[range]:
    """Cut positions into consecutive runs whose sizes sum to at most `most`, with at least one position each."""
    start, total = 0, 0
    for place, size in enumerate(sizes):
        if place > start and total + size > most:
            yield range(start, place)
            start, total = place, 0
        total += size
    if sizes:
        yield range(start, len(sizes))


def _search_info(found: Sequence[Target]) -> dict[str, float | int]:
    """Return means over the searches for z."""
    return {
        "n_forward": sum(target.n_forward for target in found) / len(found),
        "initial_norm": sum(float(target.initial.norm()) for target in found) / len(found),
        "delta_norm": sum(float((target.value - target.initial).norm()) for target in found) / len(found),
        "loss": sum(target.loss for target in found) / len(found),
    }


def _insertion_info(made: Insertion) -> dict[str, float | int]:
    """Return the mean distances to the targets before and after, and the size of the change."""
    norms = [delta.norm() for delta in made.deltas]
    return {
        "missing_before": float(made.missing[0].mean()),
        "missing_after": float(made.missing[-1].mean()),
        "update_norm": sum(norm**2 for norm in norms) ** 0.5,
    }


register("memit", MemitEditor, takes=("moments", "contexts"))
