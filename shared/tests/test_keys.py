"""States at lookup positions equal those of whole passes, in every layout."""

import pytest
import torch

from shared.fit.keys import lookup_states
from shared.model.hooks import capture
from shared.model.tokens import encode_prompt
from shared.tests.tiny import FAMILIES, tiny_lm

TEMPLATES = ("{} speaks French and more", "He said that {} is here", "{} speaks German")


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_states_of_whole_passes(family):
    lm = tiny_lm(family)
    prompts = [encode_prompt(lm, template, name) for template in TEMPLATES for name in ("Anna Bell", "Space Needle")]
    states = lookup_states(lm, prompts, keys=[0, 2], mlp=[1], blocks=[1], max_tokens=20)
    for row, prompt in enumerate(prompts):
        sites = {"mlp": lm.arch.mlp(1), "block": lm.arch.block(1)}
        inputs = {"0": lm.arch.mlp_out(0), "2": lm.arch.mlp_out(2)}
        with torch.no_grad(), capture(sites) as outputs, capture(inputs, inputs=True) as keys:
            lm.model(torch.tensor([prompt.ids]))
        for ours, whole in (
            (states.keys[0][row], keys["0"]),
            (states.keys[2][row], keys["2"]),
            (states.mlp[1][row], outputs["mlp"]),
            (states.blocks[1][row], outputs["block"]),
        ):
            torch.testing.assert_close(ours, whole[0, prompt.lookup], rtol=1e-4, atol=1e-5)


def test_equal_beginnings_are_computed_once():
    lm = tiny_lm()
    prompts = [encode_prompt(lm, template, "Anna Bell") for template in (TEMPLATES[0], TEMPLATES[2])]
    sizes = []
    handle = lm.arch.block(0).register_forward_hook(lambda _m, args, _o: sizes.append(args[0].shape[0]))
    states = lookup_states(lm, prompts, keys=[1])
    handle.remove()
    assert sizes == [1]
    assert torch.equal(states.keys[1][0], states.keys[1][1])
