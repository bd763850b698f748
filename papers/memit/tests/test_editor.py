"""The editor as a whole: what it refuses, what it returns, and z vectors that are stored, shared or searched for."""

import json

import pytest
import torch

from papers.memit import search
from papers.memit.editor import MemitEditor
from papers.memit.hyperparams import MemitHyperparams
from papers.memit.stored_targets import StoredTargets
from papers.memit.targets import Target, search_targets, target_problem, values_of, wanted_targets
from papers.memit.tests import facts
from papers.memit.tests.golden import relative
from papers.memit.tests.oracle import search_one
from shared.editing.editors import make_editor, takes_of
from shared.edits.deltas import applied
from shared.errors import ConfigError, DataError, ModelError
from shared.fit.keys import lookup_states
from shared.fit.second_moment import SecondMoments
from shared.records import write_json
from shared.tests.tiny import FAMILIES, tiny_lm

SEARCH = {"n_steps": 6, "lr": 0.1}
LAYERS = (0, 1)


def _editor(lm, **settings):
    defaults = {"layers": LAYERS, "update_weight": 0.5, "moments": facts.moments(lm.arch.d_mlp, LAYERS)}
    return make_editor("memit", **(defaults | {"contexts": facts.CONTEXTS} | SEARCH | settings))


def _assert_close(edit, other, tolerance=2e-5):
    assert [delta.module for delta in edit.deltas] == [delta.module for delta in other.deltas]
    for ours, theirs in zip(edit.deltas, other.deltas, strict=True):
        assert relative(ours.matrix(), theirs.matrix()) < tolerance


@pytest.mark.parametrize("family", FAMILIES)
def test_the_search_is_the_papers(family):
    lm, requests = tiny_lm(family), facts.requests()
    settings = MemitHyperparams((0, 1), 1, **SEARCH, clamp_norm_factor=0.3)
    prompts = facts.prompts(lm, requests)
    found = search_targets(lm, wanted_targets(requests), prompts, settings)
    for request, contexts, result in zip(requests, prompts, found, strict=True):
        delta, initial, losses = search_one(lm, request, contexts, settings)
        assert relative(result.delta, delta) < 1e-4
        assert relative(result.initial, initial) < 1e-6
        assert result.terms[:, 0].tolist() == pytest.approx(losses, rel=1e-4)


def test_the_method_is_listed_with_what_it_takes():
    assert takes_of("memit") == ("moments", "contexts")
    with pytest.raises(ConfigError, match="does not take these settings"):
        make_editor("memit", layers=[1], update_weight=1, moments=facts.moments(4, (1,)), strength=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ()}, "one or more layer numbers"),
        ({"layers": (2, 1)}, "ascending order"),
        ({"update_weight": 0}, "update_weight is 0"),
        ({"solver": "lu"}, "'lu', expected one of auto, small, dense"),
        ({"repeats": "never"}, "expected one of separate, joint"),
        ({"lr": 0}, "lr is 0"),
        ({"moments": None}, "MEMIT needs `moments`"),
        ({"contexts": ["Yes. {}"]}, "expected the plain '{}' first"),
        ({"conflicts": "ignore"}, "expected 'refuse' or 'allow'"),
    ],
)
def test_faulty_settings_are_explained(settings, message):
    with pytest.raises(ConfigError, match=message):
        _editor(tiny_lm(), **settings)


def test_moments_of_another_model_are_refused():
    lm = tiny_lm()
    with pytest.raises(ModelError, match="wide"):
        _editor(lm, moments=facts.moments(5, LAYERS)).edit(lm, facts.requests())
    foreign = SecondMoments(facts.moments(lm.arch.d_mlp, LAYERS).sums, 9, {"model": "0", "tokenizer": "1"})
    with pytest.raises(ModelError, match="made from model"):
        _editor(lm, moments=foreign).edit(lm, facts.requests())


def test_conflicts_are_refused_unless_allowed():
    lm, requests = tiny_lm(), facts.requests()
    clash = requests[0].model_copy(update={"case_id": 9, "target_new": "Dutch"})
    with pytest.raises(DataError, match="case_id 0 wants 'French' against case_id 9 wants 'Dutch'"):
        _editor(lm).edit(lm, [*requests, clash])
    assert _editor(lm, conflicts="allow").edit(lm, [*requests, clash]).info["n_requests"] == 5
    assert len(_editor(lm).edit_each(lm, [requests[0], clash])) == 2


def test_one_request_is_the_same_alone_and_among_independent_ones():
    lm, requests = tiny_lm(), facts.requests()
    editor = _editor(lm)
    together = editor.edit_each(lm, requests)
    for request, edit in zip(requests, together, strict=True):
        _assert_close(edit, editor.edit(lm, [request]))
    for max_tokens in (1, 30):
        for edit, same in zip(_editor(lm, max_tokens=max_tokens).edit_each(lm, requests), together, strict=True):
            _assert_close(edit, same)


def test_attention_can_be_edited_one_by_one_as_well():
    lm, requests = tiny_lm(), facts.requests()[:2]
    with pytest.raises(ConfigError, match="needs `site_moments`"):
        _editor(lm, site="attention")
    editor = _editor(lm, site="attention", site_moments=facts.moments(lm.arch.d_model, LAYERS))
    made = editor.edit_each(lm, requests)
    assert made[0].deltas[0].module == "transformer.h.0.attn.c_proj"
    _assert_close(made[1], editor.edit(lm, requests[1:]))


def test_the_model_says_the_new_objects_afterwards_and_the_old_ones_again():
    lm, requests = tiny_lm(layers=3), facts.requests()[:3]
    before = {name: parameter.clone() for name, parameter in lm.model.named_parameters()}
    edit = _editor(lm, layers=(0, 1), update_weight=1e-3, n_steps=40, lr=0.3, clamp_norm_factor=5).edit(lm, requests)
    assert edit.info["missing_after"] < 0.5 * edit.info["missing_before"]
    first = [_first_probability(lm, request) for request in requests]
    with applied(lm, edit):
        edited = [_first_probability(lm, request) for request in requests]
    assert all(now > then for now, then in zip(edited, first, strict=True)), (first, edited)
    assert all(torch.equal(parameter, before[name]) for name, parameter in lm.model.named_parameters())


@torch.no_grad()
def _first_probability(lm, request):
    ids = lm.tokenizer(request.prompt.replace("{}", request.subject), return_tensors="pt")["input_ids"]
    target = lm.tokenizer(f" {request.target_new}")["input_ids"][0]
    return float(lm.model(ids).logits[0, -1].softmax(-1)[target])


def test_requests_of_one_key_can_share_a_target():
    """The joint search lowers the mean loss of all requests of a key; separate ones are averaged by least squares."""
    lm, requests = tiny_lm(), facts.requests()
    wanted = wanted_targets(requests, "joint")
    assert [one.name for one in wanted] == ["0+3", "1", "2"]
    prompts = facts.prompts(lm, requests)
    problem = target_problem(lm, wanted[0], [prompts[0], prompts[3]], "subject_last")
    assert len(problem.rows) == 2 * len(facts.CONTEXTS)
    settings = MemitHyperparams(LAYERS, 1, n_steps=6, lr=0.01, weight_decay=0, kl_factor=0)
    joint = search_targets(lm, wanted, prompts, settings)
    separate = search_targets(lm, wanted_targets(requests), prompts, settings)
    fits = [float(separate[place].terms[0, 1]) for place in (0, 3)]
    assert float(joint[0].terms[0, 1]) == pytest.approx(sum(fits) / 2, rel=1e-5)
    assert joint[0].terms[-1, 0] < joint[0].terms[0, 0]
    torch.testing.assert_close(joint[1].delta, separate[1].delta, rtol=1e-4, atol=1e-5)
    info = _editor(lm, repeats="joint").edit(lm, requests).info
    assert (info["n_requests"], info["n_targets"]) == (4, 3)


def test_requests_that_share_a_change_have_their_own_targets():
    lm, requests = tiny_lm(), facts.requests()
    requests[3] = requests[3].model_copy(update={"prompt": "The piano of {} is"})
    prompts, wanted = facts.prompts(lm, requests), wanted_targets(requests, "joint")
    results = search_targets(lm, wanted, prompts, MemitHyperparams(LAYERS, 1, **SEARCH))
    found = [Target.of(result) for result in results]
    values = values_of(lm, wanted, found, prompts, LAYERS[-1])
    before = lookup_states(lm, [contexts[0] for contexts in prompts], blocks=[LAYERS[-1]]).blocks[LAYERS[-1]]
    moved = values - before
    torch.testing.assert_close(moved[3], moved[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moved[1], results[1].delta, rtol=1e-4, atol=1e-5)


@pytest.fixture
def files(tmp_path):
    """The model in a folder, its requests and its contexts as files."""
    lm = tiny_lm()
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    records = [request.model_dump(include={"subject", "prompt", "target_new"}) for request in facts.requests()]
    write_json(tmp_path / "requests.json", records)
    write_json(tmp_path / "contexts.json", facts.CONTEXTS)
    return tmp_path


def _search(folder, out, *more, **settings):
    chosen = json.dumps({"layers": list(LAYERS), **SEARCH, **settings})
    given = ["--model", folder / "model", "--dataset", "requests", "--cases", folder / "requests.json", "--block", 2]
    given += ["--contexts", folder / "contexts.json", "--settings", chosen, "--out", folder / out, *more]
    search.main(list(map(str, given)))
    return folder / out


def test_stored_targets_give_the_same_edit(files):
    lm, requests = tiny_lm(), facts.requests()
    whole = _search(files, "all.safetensors")
    shards = [_search(files, f"{part}.safetensors", "--shard", f"{part}-of-2") for part in (1, 2)]
    assert torch.equal(
        torch.stack([StoredTargets.load(shards).find(one).value for one in wanted_targets(requests)]),
        torch.stack([StoredTargets.load([whole]).find(one).value for one in wanted_targets(requests)]),
    )
    searched, stored = _editor(lm).edit(lm, requests), _editor(lm, targets=list(map(str, shards))).edit(lm, requests)
    _assert_close(searched, stored)
    # λ and the layers before the last do not enter a z.
    moments = facts.moments(lm.arch.d_mlp, (1,))
    _editor(lm, targets=whole, update_weight=7, layers=(1,), moments=moments).edit(lm, requests)
    _assert_close(_editor(lm, targets=whole).edit_each(lm, requests)[2], _editor(lm).edit_each(lm, requests)[2])
    renumbered = [request.model_copy(update={"case_id": 50 + request.case_id}) for request in requests]
    _assert_close(_editor(lm, targets=whole).edit(lm, renumbered), searched)


def test_stored_targets_of_anything_else_are_refused(files):
    lm, requests = tiny_lm(), facts.requests()
    whole = _search(files, "all.safetensors")
    with pytest.raises(DataError, match="made from settings"):
        _editor(lm, targets=whole, lr=0.2).edit(lm, requests)
    with pytest.raises(DataError, match="made from contexts"):
        _editor(lm, targets=whole, contexts=["{}"]).edit(lm, requests)
    with pytest.raises(DataError, match="made from z_layer 1, this run has 0"):
        _editor(lm, targets=whole, layers=(0,)).edit(lm, requests)
    with pytest.raises(DataError, match="made from model"):
        _editor(tiny_lm(seed=1), targets=whole).edit(tiny_lm(seed=1), requests)
    with pytest.raises(DataError, match="made from settings"):
        _editor(lm, targets=whole, objective="minimise").edit(lm, requests)
    for field, other in (("target_new", "Dutch"), ("subject", "Danielle"), ("prompt", "{} talks")):
        with pytest.raises(DataError, match="case_id 0: none of the 4 stored z vectors belongs to"):
            _editor(lm, targets=whole).edit(lm, [requests[0].model_copy(update={field: other})])
    with pytest.raises(DataError, match=r"case_id 0\+3: none of the 4 stored"):
        _editor(lm, targets=whole, repeats="joint").edit(lm, requests)
    with pytest.raises(DataError, match="no files of z vectors"):
        _editor(lm, targets=[])
    (files / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="not a file of z vectors"):
        StoredTargets.load([files / "broken.safetensors"])


def test_a_faulty_search_stops_with_a_message(files, caplog):
    with pytest.raises(SystemExit):
        _search(files, "none.safetensors", layers=[7])
    assert "layer 7 does not exist" in caplog.text
    with pytest.raises(SystemExit):
        _search(files, "none.safetensors", strength=1)
    assert "strength" in caplog.text
    assert not (files / "none.safetensors").exists()


def test_contexts_are_sampled_once_per_model():
    lm = tiny_lm()
    editor = MemitEditor(layers=LAYERS, update_weight=1, moments=facts.moments(lm.arch.d_mlp, LAYERS), context_length=8)
    contexts = editor.contexts(lm)
    assert contexts[0] == "{}"
    assert len(contexts) == 6
    assert [text.split()[0] for text in contexts[1:]][0].startswith("The")
    assert editor.contexts(lm) is contexts or editor.contexts(lm) == contexts
