"""The engine writes what the paper's one-layer-at-a-time procedure writes, in every layout and for every setting."""

import pytest
import torch

from papers.memit.hyperparams import MemitHyperparams
from papers.memit.insertion import insert_each, insert_together, mean_keys
from papers.memit.sites import edited_module
from papers.memit.streams import TextStreams, common_beginning
from papers.memit.tests import facts
from papers.memit.tests.golden import relative
from papers.memit.tests.oracle import attention_out, insert_all
from shared.edits.deltas import Edit, applied, row_edits
from shared.model.forward import embed, run_blocks
from shared.tests.tiny import FAMILIES, tiny_lm


def _setting(family="gpt2", layers=(0, 1, 2), **settings):
    lm = tiny_lm(family, layers=4)
    hyperparams = MemitHyperparams(layers, 0.5, **settings)
    width = edited_module(lm, 0, hyperparams.site).weight.shape
    size = lm.arch.d_mlp if hyperparams.site == "mlp" else min(width)
    return lm, hyperparams, facts.moments(size, layers)


def _changes(lm, made):
    return [delta.matrix() for delta in made.deltas]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("site", "layers"), [("mlp", (0, 1, 2)), ("mlp", (2,)), ("mlp", (0, 3)), ("attention", (1, 2))]
)
def test_the_joint_edit_is_the_papers(family, site, layers):
    lm, hyperparams, moments = _setting(family, layers, site=site)
    chosen = facts.requests()
    prompts, targets = facts.prompts(lm, chosen), facts.targets(lm, len(chosen))
    made = insert_together(lm, prompts, targets, hyperparams, moments)
    expected = insert_all(lm, prompts, targets, hyperparams, {layer: moments.moment(layer) for layer in layers})
    for ours, theirs in zip(_changes(lm, made), expected, strict=True):
        assert relative(ours, theirs) < 2e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_edits_on_their_own_are_edits_of_one_request(family):
    lm, hyperparams, moments = _setting(family)
    prompts, targets = facts.prompts(lm, facts.requests()), facts.targets(lm, 4)
    together = insert_each(lm, prompts, targets, hyperparams, moments)
    for place, made in enumerate(together):
        alone = insert_together(lm, prompts[place : place + 1], targets[place : place + 1], hyperparams, moments)
        for ours, theirs in zip(_changes(lm, made), _changes(lm, alone), strict=True):
            assert relative(ours, theirs) < 2e-5
        torch.testing.assert_close(made.missing, alone.missing, rtol=1e-5, atol=1e-5)


def test_what_is_missing_is_what_the_edited_model_lacks():
    lm, hyperparams, moments = _setting()
    prompts, targets = facts.prompts(lm, facts.requests()), facts.targets(lm, 4)
    made = insert_together(lm, prompts, targets, hyperparams, moments)
    with applied(lm, Edit(made.deltas)):
        reached = torch.stack([_state(lm, contexts[0], hyperparams.z_layer) for contexts in prompts])
    torch.testing.assert_close(made.missing[-1], (targets - reached).double().norm(dim=1), rtol=1e-4, atol=1e-4)
    each = insert_each(lm, prompts, targets, hyperparams, moments)
    with row_edits(lm, [Edit(own.deltas) for own in each]) as rows:
        for place, own in enumerate(each):
            rows.select([place])
            reached = _state(lm, prompts[place][0], hyperparams.z_layer)
            assert float(own.missing[-1]) == pytest.approx(float((targets[place] - reached).norm()), rel=1e-4)


@torch.no_grad()
def _state(lm, prompt, layer):
    ids = torch.tensor([prompt.ids[: prompt.lookup + 1]])
    return run_blocks(lm, embed(lm, ids), range(layer + 1))[0, -1]


def test_each_layer_takes_an_even_share():
    """At the j-th of N layers the residual is divided by N − j, and it is the one under the weights edited so far."""
    lm, hyperparams, moments = _setting()
    prompts, targets, seen = facts.prompts(lm, facts.requests()), facts.targets(lm, 4), []
    insert_together(lm, prompts, targets, hyperparams, moments, observe=seen.append)
    for place, update in enumerate(seen):
        expected = (targets - update.current).double() / (3 - place)
        torch.testing.assert_close(update.share, expected)
    assert not torch.equal(seen[0].current, seen[1].current)


@pytest.mark.parametrize("site", ["mlp", "attention"])
def test_the_order_of_requests_does_not_matter(site):
    lm, hyperparams, moments = _setting(site=site, layers=(1, 2))
    prompts, targets, order = facts.prompts(lm, facts.requests()), facts.targets(lm, 4), [2, 0, 3, 1]
    first = insert_together(lm, prompts, targets, hyperparams, moments)
    second = insert_together(lm, [prompts[place] for place in order], targets[order], hyperparams, moments)
    for ours, theirs in zip(_changes(lm, first), _changes(lm, second), strict=True):
        assert relative(ours, theirs) < 1e-5


@pytest.mark.parametrize("max_tokens", [1, 16, 10_000])
def test_batches_do_not_matter(max_tokens):
    lm, hyperparams, moments = _setting("gptj")
    prompts, targets = facts.prompts(lm, facts.requests()), facts.targets(lm, 4)
    for insert in (insert_together, insert_each):
        made, same = (insert(lm, prompts, targets, hyperparams, moments, max_tokens=most) for most in (max_tokens, 60))
        for ours, theirs in zip(*(_flat(one) for one in (made, same)), strict=True):
            assert relative(ours.matrix(), theirs.matrix()) < 1e-5


def _flat(made):
    return [delta for one in (made if isinstance(made, list) else [made]) for delta in one.deltas]


def test_nothing_in_the_model_changes():
    lm, hyperparams, moments = _setting(site="attention", layers=(1, 2))
    before = {name: parameter.clone() for name, parameter in lm.model.named_parameters()}
    prompts, targets = facts.prompts(lm, facts.requests()), facts.targets(lm, 4)
    insert_together(lm, prompts, targets, hyperparams, moments)
    assert all(torch.equal(parameter, before[name]) for name, parameter in lm.model.named_parameters())


def test_many_requests_give_a_matrix_and_few_give_factors():
    lm, hyperparams, moments = _setting(layers=(1,))
    chosen = facts.prompts(lm, facts.requests() * 10)
    made = insert_together(lm, chosen, facts.targets(lm, 40), hyperparams, moments)
    assert made.deltas[0].dense is not None
    few = insert_together(lm, chosen[:4], facts.targets(lm, 4), hyperparams, moments)
    assert few.deltas[0].left.shape == (lm.arch.d_mlp, 4)


def test_the_plain_prompt_counts_half():
    keys = torch.tensor([[[8.0], [1.0], [3.0]], [[2.0], [4.0], [6.0]]])
    torch.testing.assert_close(mean_keys(keys), torch.tensor([[5.0], [3.5]]))
    torch.testing.assert_close(mean_keys(keys[:, :1]), torch.tensor([[8.0], [2.0]]))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_attentions_output_projection_is_found_by_structure(family):
    lm = tiny_lm(family)
    assert edited_module(lm, 1, "attention") is attention_out(lm, 1)
    assert edited_module(lm, 1, "mlp") is lm.arch.mlp_out(1)


def test_texts_share_what_they_begin_with():
    assert common_beginning([(1, 2, 3), (1, 2, 4, 5)]) == 2
    assert common_beginning([(1, 2), (1, 2, 3)]) == 1
    assert common_beginning([(1, 2), (1, 2)]) == 1
    assert common_beginning([(1, 2), (3, 2)]) == 0
    lm, texts = tiny_lm(), [(5, 6, 7, 8), (5, 6, 9), (5, 6, 9, 4, 3), (1, 2)]
    shared, apart = (TextStreams(lm, texts, [0, 0, 0, 1], alike=alike) for alike in (True, False))
    keys = [streams.keys(1, lm.arch.mlp_out(1)) for streams in (shared, apart)]
    torch.testing.assert_close(*keys)
    torch.testing.assert_close(shared.ahead(0, 2), apart.ahead(0, 2))
    with pytest.raises(ValueError, match="alike=False"):
        shared.add_each(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(4, dtype=torch.long))
