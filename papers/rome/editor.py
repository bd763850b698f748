"""ROME as an editor: rank-one model editing of facts, many independent ones at once or one after another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch

from papers.rome.context import context_templates
from papers.rome.hyperparams import KeyHandling, RomeHyperparams
from papers.rome.key import subject_keys, update_direction
from papers.rome.update import key_for_direction, rank_one_delta, residuals
from papers.rome.value import target_values
from shared.data.requests import EditRequest
from shared.editing.editors import register
from shared.edits.deltas import Edit, WeightDelta, applied, merge
from shared.errors import ConfigError
from shared.fit.contexts import in_contexts
from shared.fit.moments import digests
from shared.fit.second_moment import SecondMoments, require_size
from shared.model.models import LM, Architecture
from shared.traces.subject_noise import corrupted, noise_sources


@torch.no_grad()
def edit_layer(
    lm: LM,
    requests: Sequence[EditRequest],
    layer: int,
    hyperparams: RomeHyperparams,
    contexts: Sequence[str],
    moments: SecondMoments | None,
    max_tokens: int = 2048,
) -> list[Edit]:
    """Return one independent rank-one edit of `layer` per request (§3.1, Meng et al. 2022).

    Args:
        contexts: context templates, the plain "{}" first.
        moments: second moments of the unedited model's keys; None leaves them out (u = k).
        max_tokens: bound on the padded tokens of one forward pass.

    Returns:
        edits whose `info` has the norms and losses of the search.
    """
    prompts = [in_contexts(lm, request, contexts, hyperparams.fact_token) for request in requests]
    noises = noise_sources(hyperparams.subject_noise, prompts, lm.arch.d_model)
    prompts = corrupted(prompts, noises)
    keys = subject_keys(lm, prompts, layer, max_tokens)
    values = target_values(lm, requests, prompts, layer, hyperparams, max_tokens, noises)
    if hyperparams.subject_noise is not None and hyperparams.subject_noise.redrawn:
        # The released code reads the plain prompt's key in one more pass, which has its own noise too.
        plain = subject_keys(lm, corrupted([contexts[:1] for contexts in prompts], noises), layer, max_tokens)
        keys = replace(keys, plain_key=plain.plain_key, plain_value=plain.plain_value)
    directions = update_direction(key_for_direction(keys, hyperparams.keys), moments, layer, hyperparams.ridge)
    targets = zip(*residuals(keys, values, hyperparams.keys), directions, strict=True)
    module = lm.arch.name_of(lm.arch.mlp_out(layer))
    edits = []
    for request, value, (key, residual, direction) in zip(requests, values, targets, strict=True):
        delta = rank_one_delta(module, key, residual, direction, str(request.case_id))
        total, fit, kl, decay = value.terms[-1].tolist()
        info = {
            "n_forward": len(value.terms),
            "initial_norm": float(value.initial.norm()),
            "delta_norm": float(value.delta.norm()),
            "key_overlap": float(key @ direction),
            "update_norm": delta.norm(),
            "loss": total,
            "loss_fit": fit,
            "loss_kl": kl,
            "loss_decay": decay,
        }
        edits.append(Edit((delta,), info))
    return edits


@contextmanager
def _growing(lm: LM, layers: Sequence[int]) -> Iterator[Any]:
    """Yield a function that adds a delta to the weights; all are taken back, bit for bit, at the end."""
    # Adding nothing makes `applied` keep the only copy of the weights that this needs, however many edits follow.
    nothing = []
    for module in map(lm.arch.mlp_out, layers):
        left = torch.zeros(Architecture.in_features(module), 1)
        right = torch.zeros(1, Architecture.out_features(module))
        nothing.append(WeightDelta(lm.arch.name_of(module), left, right))

    def add(delta: WeightDelta) -> None:
        module = lm.arch.module_named(delta.module)
        matrix = delta.matrix()
        module.weight += matrix if Architecture.input_first(module) else matrix.T

    with applied(lm, Edit(tuple(nothing))), torch.no_grad():
        yield add


class RomeEditor:
    """ROME with its settings, second moments and contexts.

    Args:
        moments: file written by `python -m shared.fit.moments`, or loaded moments; None only without mom2_adjustment.
        layer: the edited layer; or `layers` for several.
        contexts: context templates, "{}" first; sampled from the model (seeded) if absent.
        context_lengths: (total tokens, number) of the sampled contexts (context_template_length_params).
        context_seed: seed of the sampled contexts.
        max_tokens: bound on the padded tokens of one forward pass.
        settings: fields of `RomeHyperparams`.

    Raises:
        ConfigError: settings out of range, or moments missing.
    """

    def __init__(
        self,
        *,
        moments: str | Path | SecondMoments | None = None,
        layer: int | None = None,
        contexts: Sequence[str] | None = None,
        context_lengths: Sequence[Sequence[int]] = ((5, 10), (10, 10)),
        context_seed: int = 0,
        max_tokens: int = 2048,
        **settings: Any,
    ):
        if layer is not None:
            settings["layers"] = (*settings.get("layers", ()), layer)
        self.hyperparams = RomeHyperparams(**settings)
        self.name = {"original": "rome"}.get(self.hyperparams.keys, self.hyperparams.keys)
        if self.hyperparams.mom2_adjustment and moments is None:
            raise ConfigError("ROME with mom2_adjustment needs `moments`: make them with python -m shared.fit.moments")
        if contexts is not None and (not contexts or contexts[0] != "{}"):
            raise ConfigError(f"contexts begin with {list(contexts)[:1]}, expected the plain '{{}}' first")
        if any(len(pair) != 2 or pair[0] < 2 or pair[1] < 1 for pair in context_lengths):
            raise ConfigError(f"context_lengths is {context_lengths}, expected pairs (total tokens >= 2, number >= 1)")
        self.context_lengths, self.context_seed = [(*pair,) for pair in context_lengths], context_seed
        self.max_tokens = max_tokens
        self._moments = moments
        self._given = contexts
        self._sampled: WeakKeyDictionary = WeakKeyDictionary()

    def contexts(self, lm: LM) -> list[str]:
        """Return the context templates, sampled once per model."""
        if self._given is not None:
            return list(self._given)
        if lm.model not in self._sampled:
            self._sampled[lm.model] = context_templates(lm, self.context_lengths, self.context_seed)
        return self._sampled[lm.model]

    def moments(self, lm: LM) -> SecondMoments | None:
        """Return the second moments, checked once against the model (ModelError if they belong to another)."""
        if not self.hyperparams.mom2_adjustment:
            return None
        if not isinstance(self._moments, SecondMoments):
            self._moments = SecondMoments.load(self._moments)
        if lm.model not in self._moments.verified:
            if "model" in self._moments.made_from:
                self._moments.require(digests(lm), f"the model {lm.name}")
            self._moments.verified.add(lm.model)
        require_size(lm, self._moments, self.hyperparams.layers)
        return self._moments

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return the edits of all requests, made one after another, each on the model as edited so far.

        With several layers, a request's layers are edited in ascending order, each seeing those before it.
        """
        contexts, moments = self.contexts(lm), self.moments(lm)
        made: list[Edit] = []
        with _growing(lm, self.hyperparams.layers) as add:
            for request in requests:
                for layer in self.hyperparams.layers:
                    edit = edit_layer(lm, [request], layer, self.hyperparams, contexts, moments, self.max_tokens)[0]
                    add(edit.deltas[0])
                    made.append(edit)
        info = made[-1].info if len(made) == 1 else {"n_edits": len(made)}
        return Edit(merge(made).deltas, info)

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one independent edit per request; with one layer they are computed together."""
        if len(self.hyperparams.layers) > 1:
            return [self.edit(lm, [request]) for request in requests]
        contexts, moments = self.contexts(lm), self.moments(lm)
        layer = self.hyperparams.layers[0]
        return edit_layer(lm, requests, layer, self.hyperparams, contexts, moments, self.max_tokens)


def _variant(handling: KeyHandling):
    def make(**settings: Any) -> RomeEditor:
        return RomeEditor(keys=handling, **settings)

    return make


register("rome", RomeEditor, takes=("moments", "contexts"))
register("r_rome", _variant("r_rome"), takes=("moments", "contexts"))
register("p_rome", _variant("p_rome"), takes=("moments", "contexts"))
