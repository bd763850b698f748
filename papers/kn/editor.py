"""Knowledge neurons as an editor, of causal models as ROME and the survey run it (ROME App. D; EasyEdit).

One prompt, the request's own; the coarse neurons of the true object, over pre-activations at the last token; from each
neuron's value vector twice the embedding of the model's own answer is taken away, and that of each token of the new
object is added. No norms, no scales, no sharing over prompts: there is only one.

An encoder-decoder is asked the request's prompt as a question. The neurons are those of its decoder: each token of the
true object is attributed at the step that predicts it, and the scores are averaged.

The authors of the baseline write both objects without the space that a continuation begins with, so that the first
token is that of a text's beginning; `leading_space` writes them as the prompt continues.
"""

from collections.abc import Sequence

import torch

from papers.kn.answers_network import AnswerNetwork
from papers.kn.attribution import AttributionSettings, attribute, strongest
from papers.kn.causal import CausalNetwork
from papers.kn.network import PREACTIVATION, Cloze
from papers.kn.neurons import Neuron, coarse
from papers.kn.value_edits import value_edit
from shared.data.requests import EditRequest
from shared.data.templates import fill
from shared.editing.editors import register
from shared.edits.deltas import Edit, merge
from shared.errors import ConfigError, DataError
from shared.model.architectures import EncoderDecoder
from shared.model.models import LM
from shared.model.tokens import encode, target_ids

REMOVED = 2.0
Asked = CausalNetwork | AnswerNetwork


class KnowledgeNeuronEditor:
    """Knowledge neurons of one prompt per request.

    Args:
        steps: nodes of the Riemann sum.
        threshold: share of the greatest score above which a neuron is edited (0.2 for GPT-2 XL, 0.1 for GPT-J).
        grid, site: see `AttributionSettings`; the defaults are the re-implementation's.
        leading_space: whether objects are written as they continue the prompt.
        max_tokens: tokens of one forward and backward pass.

    Raises:
        ConfigError: settings out of range.
    """

    name = "kn"

    def __init__(
        self,
        *,
        steps: int = 20,
        threshold: float = 0.2,
        grid: str = "inclusive",
        site: str = PREACTIVATION,
        leading_space: bool = False,
        max_tokens: int = 8192,
    ):
        if not 0 < threshold < 1:
            raise ConfigError(f"kn: threshold is {threshold}, expected a share between 0 and 1")
        self.threshold, self.leading_space = threshold, leading_space
        self.attribution = AttributionSettings(steps=steps, grid=grid, site=site, max_tokens=max_tokens)

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return the sum of the requests' own edits; the baseline defines no joint one."""
        edits = self.edit_each(lm, requests)
        merged = merge(edits)
        return Edit(merged.deltas, {"neurons": sum(edit.info["neurons"] for edit in edits)})

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one edit per request; attributions of all requests and tokens are computed together.

        Raises:
            DataError: a request lacks its true object, whose neurons are sought.
        """
        network = AnswerNetwork(lm) if isinstance(lm.arch, EncoderDecoder) else CausalNetwork(lm)
        asked = [self._clozes(network, request) for request in requests]
        clozes = [cloze for own in asked for cloze in own]
        owners = [index for index, own in enumerate(asked) for _ in own]
        first = {owners.index(index) for index in range(len(requests))}
        totals: dict[int, torch.Tensor] = {}
        predicted: dict[int, int] = {}
        # Tokens of one object are attributed at the same place and averaged, as the re-implementation does for GPT-2.
        for place, found in attribute(network, clozes, self.attribution):
            owner = owners[place]
            totals[owner] = totals.get(owner, 0) + found.scores / owners.count(owner)
            if place in first:
                predicted[owner] = found.predicted
        return [
            self._edit(network, request, self._neurons(totals[index]), predicted[index])
            for index, request in enumerate(requests)
        ]

    def _clozes(self, network: Asked, request: EditRequest) -> list[Cloze]:
        """Return one prompt for each token of the true object."""
        prompt = fill(request.prompt, request.subject)
        tokens = self._tokens(network.lm, request, "target_true")
        if isinstance(network, AnswerNetwork):
            return network.answer_clozes(prompt, request.target_true)
        ids = tuple(encode(network.lm, prompt))
        return [Cloze(ids, len(ids) - 1, token) for token in tokens]

    def _tokens(self, lm: LM, request: EditRequest, field: str) -> list[int]:
        text = getattr(request, field)
        if text is None:
            raise DataError(f"case {request.case_id}: no {field}; knowledge neurons are those of the true object")
        return target_ids(lm, text) if self.leading_space else encode(lm, text.strip())

    def _neurons(self, scores: torch.Tensor) -> list[Neuron]:
        return coarse(strongest(scores, self.threshold), self.threshold, strict=True)

    def _edit(self, network: Asked, request: EditRequest, neurons: list[Neuron], old: int) -> Edit:
        embedding = network.lm.arch.embedding.weight
        new = self._tokens(network.lm, request, "target_new")
        direction = embedding[new].sum(0) - REMOVED * embedding[old]
        return value_edit(network, neurons, lambda values: direction.expand_as(values).clone())


register("kn", KnowledgeNeuronEditor)
