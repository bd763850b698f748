"""An editing method that needs no paper: random changes of weights that depend on the request alone."""

import torch

from shared.editing.editors import register
from shared.edits.deltas import Edit, WeightDelta, merge
from shared.errors import ConfigError
from shared.seeding import seed_for


class RandomEditor:
    """Gives each request a random change that depends on its case alone: factors, or a dense matrix and a bias.

    Args:
        layers: the layer whose down projection changes.
        scale: factor of the change.
        moments: second moments; only whether they are there matters, and only with `needs_moments`.
        contexts: context templates; their number enters the change.
    """

    name = "random"

    def __init__(self, *, layers=(2,), scale=1, moments=None, contexts=(), needs_moments=False):
        if needs_moments and moments is None:
            raise ConfigError("this random editor needs `moments`")
        (self.layer,), self.scale, self.contexts = layers, scale, contexts
        self.batches = []

    def edit_for(self, lm, request):
        """Return the change of one request."""
        seed = [len(self.contexts)] if self.contexts else []
        rng = torch.Generator().manual_seed(seed_for("random editor", request.case_id, *seed))
        up, down = lm.arch.mlp_in(1), lm.arch.mlp_out(self.layer)
        d_mlp, d_model = lm.arch.d_mlp, lm.arch.d_model
        left, right = torch.randn(d_mlp, 1, generator=rng), torch.randn(1, d_model, generator=rng)
        deltas = [WeightDelta(lm.arch.name_of(down), left=left * self.scale, right=right)]
        if request.case_id % 2:
            bias = torch.randn(d_mlp, generator=rng) if up.bias is not None else None
            dense = torch.randn(d_model, d_mlp, generator=rng) / 3
            deltas.append(WeightDelta(lm.arch.name_of(up), dense=dense, bias=bias))
        return Edit(tuple(deltas))

    def edit_each(self, lm, requests):
        """Return one change per request."""
        self.batches.append(len(requests))
        return [self.edit_for(lm, request) for request in requests]

    def edit(self, lm, requests):
        """Return the sum of all requests' changes."""
        self.batches.append(len(requests))
        return merge([self.edit_for(lm, request) for request in requests])


register("random", RandomEditor)
register("random_in_contexts", RandomEditor, takes=("moments", "contexts"))
