"""Demonstrations, retrieval, the editor and its limits."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from papers.ike.cleaning import clean_paraphrase
from papers.ike.demonstrations import (
    AUTHORS_ORDER,
    PAPER_RATIO,
    context_of,
    demonstrate,
    kind_counts,
    kinds_of,
    new_fact,
)
from papers.ike.editor import IkeEditor
from papers.ike.retrieval import Pool, SentenceEncoder, TfidfEncoder, make_encoder, retrieval_text
from papers.ike.tests import golden
from shared.data.requests import EditRequest
from shared.editing.editors import make_editor
from shared.errors import ConfigError, DataError
from shared.model.tokens import encode
from shared.tests.tiny import tiny_lm, tokenizer

POOL = list(golden.cases().values())
REQUEST = EditRequest(case_id=99, subject="Anna Bell", relation_id="P19", prompt="{} was born in", target_new="Fifam")


def test_the_authors_places_have_the_papers_ratio():
    assert Counter(AUTHORS_ORDER) == {"copy": 4, "update": 12, "retain": 16} == kind_counts(32, PAPER_RATIO)
    assert kind_counts(16, PAPER_RATIO) == {"copy": 2, "update": 6, "retain": 8}
    assert kind_counts(5, (1, 3, 0)) == {"copy": 1, "update": 4, "retain": 0}
    with pytest.raises(ConfigError, match="three numbers"):
        kind_counts(4, (0, 0, 0))


@pytest.mark.parametrize("order", ["spread", "shuffled", "authors"])
def test_orders(order):
    kinds = kinds_of(32, PAPER_RATIO, order, random.Random(1))
    assert Counter(kinds) == kind_counts(32, PAPER_RATIO)
    assert kinds == kinds_of(32, PAPER_RATIO, order, random.Random(1))
    assert (kinds == kinds_of(32, PAPER_RATIO, order, random.Random(2))) == (order == "spread")
    if order == "spread":
        assert all(Counter(kinds[at : at + 8]) == kind_counts(8, PAPER_RATIO) for at in range(0, 32, 8))


def test_bad_orders():
    with pytest.raises(ConfigError, match="'authors' is for up to 32"):
        kinds_of(33, PAPER_RATIO, "authors", random.Random(0))
    with pytest.raises(ConfigError, match="'sorted' of the kinds is unknown"):
        kinds_of(4, PAPER_RATIO, "sorted", random.Random(0))


def test_kinds_of_demonstrations():
    case, rng = POOL[0], random.Random(0)
    request = case.request
    copy, update, retain = (demonstrate(case, kind, rng) for kind in ("copy", "update", "retain"))
    assert copy.text == f"New Fact: {new_fact(request)}\nPrompt: {new_fact(request)}\n\n"
    assert update.prompt in case.paraphrase_prompts
    assert update.answer == request.target_new
    assert retain.prompt in case.neighborhood_prompts
    assert retain.answer == request.target_true
    with pytest.raises(DataError, match=f"case_id {case.case_id}: no paraphrase prompt"):
        demonstrate(case.model_copy(update={"paraphrase_prompts": ()}), "update", rng)


def test_cleaning():
    assert clean_paraphrase("Shayna does this. Anna Bell was born in", "Anna Bell") == "Anna Bell was born in"
    assert clean_paraphrase("One.\nThe mother of Anna Bell is", "Anna Bell") == "The mother of Anna Bell is"
    assert clean_paraphrase("Category:Births Anna Bell is", "Anna Bell") == "Anna Bell is"
    assert clean_paraphrase("Somebody else is", "Anna Bell") == "Somebody else is"


def test_nearest_records_by_tfidf():
    requests = [case.request for case in POOL]
    pool = Pool(requests, TfidfEncoder())
    found = pool.nearest([REQUEST], 4)[0]
    assert "born" in retrieval_text(requests[found[0]])
    product = TfidfEncoder()
    product.fit([retrieval_text(request) for request in requests])
    rows = product.encode([retrieval_text(request) for request in requests])
    nearness = (product.encode([retrieval_text(REQUEST)]) @ rows.T).toarray()[0]
    assert found.tolist() == np.argsort(-nearness, kind="stable")[:4].tolist()
    own = pool.nearest([requests[3]], pool.allowed(requests[3]))[0]
    assert 3 not in own
    with pytest.raises(DataError, match="case_id 99: the pool has 16 records about other facts, 17 are wanted"):
        pool.nearest([REQUEST], 17)
    assert pool.nearest([REQUEST], 0).shape == (1, 0)


def test_sentence_encoders_average_over_tokens(tmp_path):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer()), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    model = BertModel(config).eval()
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    encoder = make_encoder({"model": str(tmp_path), "batch": 2})
    assert isinstance(encoder, SentenceEncoder)
    texts = ["Anna Bell", "The piano is old and the cat is not", "a"]
    rows = encoder.encode(texts)
    with torch.no_grad():
        hidden = model(torch.tensor([tokenizer().encode(texts[1], add_special_tokens=False)])).last_hidden_state[0]
    mean = hidden.mean(0)
    assert rows[1] == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert Pool([case.request for case in POOL], encoder).nearest([REQUEST], 3).shape == (1, 3)
    for wrong in ("minilm", {"model": str(tmp_path), "size": 3}):
        with pytest.raises(ConfigError, match="encoder"):
            make_encoder(wrong)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        make_encoder({"model": str(tmp_path / "absent")})


def editor(**settings):
    return IkeEditor(POOL, **{"k": 2, "probe_tokens": 8, **settings})


def long_lm():
    return golden.model(golden.LONG)


def test_the_nearest_record_stands_last_before_the_own_copy():
    lm = long_lm()
    (edit,) = editor().edit_each(lm, [REQUEST])
    assert edit.kind == "context"
    assert edit.deltas == ()
    parts = edit.context.split("\n\n")
    nearest = Pool([case.request for case in POOL], TfidfEncoder()).nearest([REQUEST], 2)[0]
    facts = [f"New Fact: {new_fact(POOL[place].request)}\n" for place in nearest[::-1]]
    assert [part.startswith(fact) for part, fact in zip(parts, facts, strict=False)] == [True, True]
    assert parts[2] == f"New Fact: {new_fact(REQUEST)}\nPrompt: {new_fact(REQUEST)}"
    assert parts[3] == f"New Fact: {new_fact(REQUEST)}\nPrompt: "
    assert edit.info["context_tokens"] == len(encode(lm, edit.context))


def test_draws_depend_on_the_fact_alone():
    lm = long_lm()
    requests = [REQUEST, POOL[0].request, POOL[4].request]
    for settings in ({}, {"selection": "random"}, {"arrangement": "random"}):
        together = editor(**settings).edit_each(lm, requests)
        alone = [editor(**settings).edit_each(lm, [request])[0] for request in requests[::-1]][::-1]
        assert [edit.context for edit in together] == [edit.context for edit in alone]
    assert editor(seed=1).edit(lm, [REQUEST]).context != editor(seed=2, selection="random").edit(lm, [REQUEST]).context


@pytest.mark.parametrize("selection", ["similar", "random"])
def test_the_tested_fact_is_never_demonstrated(selection):
    for case in POOL[:6]:
        (edit,) = IkeEditor(POOL, k=12, selection=selection, append_target_copy=False, overflow="truncate").edit_each(
            long_lm(), [case.request]
        )
        demonstrated = edit.context.rpartition("New Fact:")[0]
        assert new_fact(case.request) not in demonstrated


def test_prompt_is_the_new_fact_alone():
    edit = make_editor("prompt", pool=POOL).edit(long_lm(), [REQUEST])
    assert edit.context == "New Fact: Anna Bell was born in Fifam\nPrompt: "


def test_earlier_edits_stay_as_copies():
    later = REQUEST.model_copy(update={"target_new": "Nelim"})
    edit = IkeEditor(k=0).edit(long_lm(), [REQUEST, later])
    assert edit.context == context_of(later, [], append_target_copy=True, earlier=[REQUEST])
    assert edit.context.index("born in Fifam\n\n") < edit.context.index("born in Nelim\n\n")


def test_contexts_that_do_not_fit():
    lm = tiny_lm()
    with pytest.raises(
        DataError, match=r"case_id 99: the context of 12 demonstrations has \d+ tokens, the model tiny-gpt2"
    ):
        editor(k=12).edit(lm, [REQUEST])
    (cut,) = editor(k=12, overflow="truncate").edit_each(long_lm(), [REQUEST])
    assert cut.info["left_out"] == 0
    short = golden.model(golden.NONE)
    (cut,) = editor(k=12, overflow="truncate").edit_each(short, [REQUEST])
    whole = editor(k=12, overflow="truncate").edit(long_lm(), [REQUEST])
    assert cut.info["left_out"] + cut.info["demonstrations"] == 12
    assert cut.info["left_out"] > 0
    assert whole.context.endswith(cut.context)
    assert cut.info["context_tokens"] <= short.arch.n_positions - 8
    with pytest.raises(DataError, match="take fewer demonstrations"):
        editor(k=0, overflow="truncate", probe_tokens=127).edit(short, [REQUEST])


def test_bad_settings():
    with pytest.raises(ConfigError, match="no pool of records"):
        IkeEditor(k=3)
    with pytest.raises(ConfigError, match="selection is 'best'"):
        IkeEditor(POOL, selection="best")
    with pytest.raises(ConfigError, match="does not take these settings"):
        make_editor("ike", pool=POOL, shots=3)


def test_a_pool_is_cleaned_wherever_it_comes_from():
    dirty = [
        case.model_copy(update={"paraphrase_prompts": tuple(f"Rain fell. {one}" for one in case.paraphrase_prompts)})
        for case in POOL
    ]
    settings = {"k": 4, "ratio": (0, 1, 0), "overflow": "truncate", "probe_tokens": 1}
    found = [IkeEditor(pool, **settings).edit(tiny_lm(), [REQUEST]).context for pool in (dirty, POOL)]
    assert found[0] == found[1]
    assert "Rain fell" not in found[0]
