"""The one-at-a-time path: whole padded passes of the model, one layer and one scaled copy after another.

This is what the authors' code does for each prompt: read a layer's activations in one pass, then run the model once per
scaled copy of that layer and take the gradient at the answer's place, every sequence padded to one length.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from papers.kn.attribution import AttributionSettings
from papers.kn.masked import MaskedNetwork
from papers.kn.network import Cloze, Network
from shared.model.hooks import capture, replace_inputs
from shared.traces.integrated_gradients import riemann


def _padded(network: Network, cloze: Cloze, length: int) -> dict[str, Tensor]:
    padding = length - len(cloze.ids)
    ids = torch.tensor([[*cloze.ids, *[network.lm.tokenizer.pad_token_id] * padding]])
    seen = torch.tensor([[1] * len(cloze.ids) + [0] * padding])
    return {"input_ids": ids, "attention_mask": seen} if isinstance(network, MaskedNetwork) else {"input_ids": ids}


def attribute_slowly(
    network: Network, clozes: Sequence[Cloze], settings: AttributionSettings, length: int
) -> Float[Tensor, "prompt layer d_mlp"]:
    """Return the attributions of every prompt over activations, one layer and step at a time.

    Args:
        length: tokens that every prompt is padded to.
    """
    nodes, weights = riemann(settings.steps, settings.grid)
    found = []
    for cloze in clozes:
        inputs, scores = _padded(network, cloze, length), []
        for layer in range(network.n_layers):
            module = network.lm.arch.mlp_out(layer)
            with torch.no_grad(), capture({"keys": module}, inputs=True) as seen:
                network.lm.model(**inputs)
            end, slope = seen["keys"][0, cloze.position], 0
            for node, weight in zip(nodes, weights, strict=True):
                scaled = (node * end).requires_grad_()

                def put(_index: int, keys: Tensor, scaled: Tensor = scaled, cloze: Cloze = cloze) -> Tensor:
                    return keys.index_put((torch.tensor(0), torch.tensor(cloze.position)), scaled)

                with torch.enable_grad(), replace_inputs([module], put):
                    predicted = network.lm.model(**inputs).logits[0, cloze.position].softmax(-1)
                slope = slope + weight * torch.autograd.grad(predicted[cloze.answer], scaled)[0]
            scores.append(end * slope)
        found.append(torch.stack(scores))
    return torch.stack(found)
