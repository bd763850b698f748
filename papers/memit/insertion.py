"""Writing z vectors into a range of MLP layers (Algorithm 1, §4.3.2): ascending, with residuals measured anew.

At layer l, the j-th of N (from 0), each request's residual z − h (h under the weights edited so far) is divided by
N − j, so that every layer takes an even share of what is missing, and the layer's weights get the least-squares update.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from papers.memit.hyperparams import MemitHyperparams
from papers.memit.sites import edited_module
from papers.memit.solution import adjusted_keys, single_adjusted_keys
from papers.memit.streams import Text, TextStreams
from shared.edits.deltas import Edit, WeightDelta, applied
from shared.fit.keys import lookup_states
from shared.fit.second_moment import SecondMoments
from shared.model.models import LM
from shared.model.tokens import Prompt
from shared.traces.subject_noise import NoiseSource

PLAIN = 0


@dataclass(frozen=True)
class LayerUpdate:
    """What was computed at one layer, for requests edited together or each on its own.

    Attributes:
        layer: its number.
        module: name of the edited projection.
        keys: k of every request.
        current: h of every request after the last edited layer, before this update.
        adjusted: (λC + K Kᵀ)⁻¹ K, transposed.
        share: the part of z − h that this layer is to make up.
    """

    layer: int
    module: str
    keys: Float[Tensor, "request d_key"]
    current: Float[Tensor, "request d_model"]
    adjusted: Float64[Tensor, "request d_key"]
    share: Float64[Tensor, "request d_model"]

    def joint_delta(self) -> WeightDelta:
        """Return the one change that serves all requests: factors while these are smaller than the matrix."""
        if len(self.keys) <= self.share.shape[1]:
            return WeightDelta(self.module, left=self.adjusted.T, right=self.share)
        return WeightDelta(self.module, dense=(self.adjusted.T @ self.share).to(self.keys.dtype))

    def single_delta(self, request: int) -> WeightDelta:
        """Return the rank-one change of one request that was edited on its own."""
        left, right = self.adjusted[request, :, None], self.share[request, None]
        return WeightDelta(self.module, left=left.to(self.keys.dtype), right=right.to(self.keys.dtype))


def mean_keys(keys: Float[Tensor, "request context d_key"]) -> Float[Tensor, "request d_key"]:
    """Return each request's key: the mean of the plain prompt's and the mean over the other contexts.

    The authors' code averages within the two kinds of contexts first, so that the plain prompt counts half (½ and ½,
    not one part in six).
    """
    plain = keys[:, PLAIN]
    return (plain + keys[:, PLAIN + 1 :].mean(1)) / 2 if keys.shape[1] > 1 else plain


class _Requests:
    """The requests' texts in motion: keys and states by request instead of by text."""

    def __init__(self, lm: LM, prompts: Sequence[Sequence[Prompt]], max_tokens: int, *, alike: bool):
        texts: dict[tuple[int, int, Text], int] = {}
        self.places = torch.tensor(
            [
                [
                    # Requests edited on their own see different weights, and share no text.
                    texts.setdefault((context, PLAIN if alike else owner, _up_to_lookup(prompt)), len(texts))
                    for context, prompt in enumerate(contexts)
                ]
                for owner, contexts in enumerate(prompts)
            ],
            device=lm.device,
        )
        groups = [context for context, _, _ in texts]
        noises = None if alike else [prompts[owner][context].noise for context, owner, _ in texts]
        self.owners = torch.tensor([owner for _, owner, _ in texts], device=lm.device)
        self.streams = TextStreams(
            lm, [text for _, _, text in texts], groups, max_tokens=max_tokens, alike=alike, noises=noises
        )
        plain = self.places[:, PLAIN].contiguous()
        # Rank of each plain text among the plain ones, which `ahead` returns in order.
        self.plain = torch.searchsorted(plain.unique(), plain)

    def keys(self, layer: int, module: torch.nn.Module, *, final: bool) -> Float[Tensor, "request d_key"]:
        return mean_keys(self.streams.keys(layer, module, final=final)[self.places])

    def current(self, layer: int) -> Float[Tensor, "request d_model"]:
        return self.streams.ahead(PLAIN, layer)[self.plain]


def _up_to_lookup(prompt: Prompt) -> Text:
    return tuple(prompt.ids[: prompt.lookup + 1])


@dataclass(frozen=True)
class Insertion:
    """The changes of one edit, in ascending order of layers, and how far its requests were from their targets.

    Attributes:
        deltas: one per layer.
        missing: ‖z − h‖ of each request before every layer's update and after the last.
    """

    deltas: tuple[WeightDelta, ...]
    missing: Float64[Tensor, "stage request"]


Observer = Callable[[LayerUpdate], None]
Solve = Callable[[Float[Tensor, "request d_key"], int], Float64[Tensor, "request d_key"]]


def _updates(
    lm: LM, requests: _Requests, targets: Tensor, hyperparams: MemitHyperparams, solve: Solve
) -> Iterator[LayerUpdate]:
    """Yield each layer's update; whoever asks for the next must have corrected the streams for this one."""
    count = len(hyperparams.layers)
    for place, layer in enumerate(hyperparams.layers):
        module = edited_module(lm, layer, hyperparams.site)
        keys = requests.keys(layer, module, final=layer == hyperparams.z_layer and hyperparams.site == "mlp")
        current = requests.current(hyperparams.z_layer)
        share = (targets.double() - current.double()) / (count - place)
        yield LayerUpdate(layer, lm.arch.name_of(module), keys, current, solve(keys, layer), share)


def _distance(targets: Tensor, current: Tensor) -> Float64[Tensor, " request"]:
    return (targets.double() - current.double()).norm(dim=1)


@torch.no_grad()
def insert_together(
    lm: LM,
    prompts: Sequence[Sequence[Prompt]],
    targets: Float[Tensor, "request d_model"],
    hyperparams: MemitHyperparams,
    moments: SecondMoments,
    *,
    max_tokens: int = 8192,
    observe: Observer | None = None,
) -> Insertion:
    """Find the changes that make all requests hold at once.

    Args:
        prompts: per request, its prompt in every context, the plain one first.
        targets: z of every request.
        max_tokens: bound on the padded tokens of one forward pass.
        observe: called with each layer's update.

    Cost: one pass of blocks up to the last edited layer over the texts up to their subjects (what all texts of a
    context begin with counts once), the plain prompts' passes from each edited layer on, and one solve per layer.
    Memory: see `TextStreams`; at each layer 3·d_key + 2·d_model float64 numbers per request.
    """
    requests = _Requests(lm, prompts, max_tokens, alike=True)

    def solve(keys: Tensor, layer: int) -> Tensor:
        return adjusted_keys(
            keys, moments, layer, hyperparams.update_weight, solver=hyperparams.solver, ridge=hyperparams.ridge
        )

    deltas, missing = [], []
    for update in _updates(lm, requests, targets, hyperparams, solve):
        if observe is not None:
            observe(update)
        deltas.append(update.joint_delta())
        missing.append(_distance(targets, update.current))
        if hyperparams.site == "mlp":
            requests.streams.add(deltas[-1].matrix().to(lm.dtype))
        else:
            requests.streams.repeat(Edit((deltas[-1],)))
    missing.append(_distance(targets, requests.current(hyperparams.z_layer)))
    return Insertion(tuple(deltas), torch.stack(missing))


@torch.no_grad()
def insert_each(
    lm: LM,
    prompts: Sequence[Sequence[Prompt]],
    targets: Float[Tensor, "request d_model"],
    hyperparams: MemitHyperparams,
    moments: SecondMoments,
    *,
    max_tokens: int = 8192,
) -> list[Insertion]:
    """Find the changes of many edits of one request each, all against the unedited model, computed as a batch.

    Every text carries its own request's rank-one changes on to the next layers. Arguments as for `insert_together`; the
    site is the MLP.
    """
    requests = _Requests(lm, prompts, max_tokens, alike=False)

    def solve(keys: Tensor, layer: int) -> Tensor:
        return single_adjusted_keys(keys, moments, layer, hyperparams.update_weight, hyperparams.ridge)

    updates, missing = [], []
    for update in _updates(lm, requests, targets, hyperparams, solve):
        updates.append(update)
        missing.append(_distance(targets, update.current))
        requests.streams.add_each(update.adjusted.to(lm.dtype), update.share.to(lm.dtype), requests.owners)
    missing.append(_distance(targets, requests.current(hyperparams.z_layer)))
    table = torch.stack(missing)
    return [
        Insertion(tuple(update.single_delta(place) for update in updates), table[:, place, None])
        for place in range(len(prompts))
    ]


@torch.no_grad()
def insert_redrawn(
    lm: LM,
    prompts: Sequence[Prompt],
    target: Float[Tensor, " d_model"],
    hyperparams: MemitHyperparams,
    moments: SecondMoments,
    noise: NoiseSource,
) -> Insertion:
    """Find the changes of one single edit whose noise is drawn anew for every pass, as Hase et al. released it.

    At each layer one pass over all contexts gives the key and one over the plain prompt gives h, under the weights
    edited so far.
    """
    count, z_layer = len(hyperparams.layers), hyperparams.z_layer
    deltas: list[WeightDelta] = []
    missing = []
    for place, layer in enumerate(hyperparams.layers):
        with applied(lm, Edit(tuple(deltas))):
            keys = mean_keys(lookup_states(lm, noise.corrupt(prompts), keys=[layer]).keys[layer][None])
            current = lookup_states(lm, noise.corrupt(prompts[:1]), blocks=[z_layer]).blocks[z_layer]
        adjusted = single_adjusted_keys(keys, moments, layer, hyperparams.update_weight, hyperparams.ridge)
        share = (target.double() - current.double()) / (count - place)
        module = lm.arch.name_of(edited_module(lm, layer, hyperparams.site))
        deltas.append(LayerUpdate(layer, module, keys, current, adjusted, share).single_delta(0))
        missing.append(_distance(target[None], current))
    return Insertion(tuple(deltas), torch.stack(missing))
