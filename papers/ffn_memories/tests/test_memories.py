"""What a pass sees is what layers compute; trigger examples are the best ones; values are read as projected."""

import pytest
import torch

from papers.ffn_memories.projection import project, read_values, read_vectors
from papers.ffn_memories.read_keys import agreements, mutated
from papers.ffn_memories.sentences import NEUTRAL, annotate, read_sentences
from papers.ffn_memories.states import passes, values_of
from papers.ffn_memories.tests.book import SENTENCES, small_book
from papers.ffn_memories.triggers import Triggers, find_triggers
from shared.errors import ConfigError, DataError
from shared.model.tokens import encode
from shared.tests.tiny import FAMILIES, tiny_lm


def sequences_of(lm):
    return [encode(lm, text) for text in SENTENCES]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_layers_output_is_the_sum_of_its_memories(family):
    lm = tiny_lm(family)
    sequences = sequences_of(lm)
    seen = next(passes(lm, sequences, max_tokens=4096))
    for layer in range(lm.arch.n_layers):
        bias = getattr(lm.arch.mlp_out(layer), "bias", None)
        total = seen.keys[layer] @ values_of(lm, layer) + (0 if bias is None else bias)
        torch.testing.assert_close(total, seen.mlp[layer], atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        row = seen.rows.index(0)
        whole = lm.model(torch.tensor([sequences[0]])).logits[0, -1]
    own = project(lm, seen.after[-1][row, len(sequences[0]) - 1], "normed")
    torch.testing.assert_close(own, whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("max_tokens", [1, 25, 4096])
def test_streaming_finds_the_best_examples(max_tokens):
    lm = tiny_lm("gpt2")
    sequences = sequences_of(lm)
    found = find_triggers(lm, sequences, 3, max_tokens)
    for layer, key in ((0, 3), (1, 40), (2, 79)):
        best = []
        for row, ids in enumerate(sequences):
            seen = next(passes(lm, [ids], max_tokens=999))
            values = seen.keys[layer][0, : len(ids) - 1, key]
            best.append(float(values.max()))
            for place in (found.sentences[layer, key] == row).nonzero()[:, 0].tolist():
                at = int(found.positions[layer, key, place])
                assert float(found.coefficients[layer, key, place]) == pytest.approx(float(values[at]), abs=1e-5)
        # Sentences that begin alike may tie, so the examples themselves are checked by their responses.
        assert found.coefficients[layer, key].tolist() == pytest.approx(sorted(best, reverse=True)[:3], abs=1e-5)
        assert len(set(found.sentences[layer, key].tolist())) == 3


def test_triggers_survive_their_file(tmp_path):
    lm = tiny_lm("gpt2")
    found = find_triggers(lm, sequences_of(lm), 2, 4096)
    found.save(tmp_path / "t.safetensors")
    again = Triggers.load(tmp_path / "t.safetensors")
    assert all(torch.equal(one, other) for one, other in zip(vars(found).values(), vars(again).values(), strict=True))


def test_removed_tokens_are_read_at_the_new_end():
    lm = tiny_lm("gpt2")
    sequences = sequences_of(lm)
    found = find_triggers(lm, sequences, 1, 4096)
    key = next(at for at in range(lm.arch.d_mlp) if found.positions[1, at, 0] > 1 and found.coefficients[1, at, 0] > 0)
    frame = mutated(lm, sequences, found, [(1, key)], 1, 0, 4096).set_index("removed")["change"]
    prefix = sequences[int(found.sentences[1, key, 0])][: int(found.positions[1, key, 0]) + 1]
    before = float(found.coefficients[1, key, 0])
    for name, shorter in (("first", prefix[1:]), ("last", prefix[:-1])):
        after = float(next(passes(lm, [shorter], 999)).keys[1][0, -1, key])
        assert frame[name] == pytest.approx(100 * (after - before) / before, rel=1e-3)


def test_values_agree_with_the_token_that_follows():
    lm = tiny_lm("gpt2")
    sequences = sequences_of(lm)
    found = find_triggers(lm, sequences, 2, 4096)
    frame = agreements(lm, sequences, found, "normed")
    for line in frame.sample(12, random_state=0).itertuples():
        ids = sequences[int(found.sentences[line.layer, line.key, 0])]
        at = int(found.positions[line.layer, line.key, 0])
        scores = project(lm, values_of(lm, line.layer)[line.key], "normed")
        assert line.agrees == int(scores.argmax() == ids[at + 1])
        assert line.agrees_last == int(scores.argmax() == ids[at])
        assert line.rank == int((scores > scores[ids[at + 1]]).sum())
        assert line.probability == pytest.approx(float(scores.softmax(-1).max()), rel=1e-4)


def test_a_values_reading_does_not_depend_on_its_length():
    lm = tiny_lm("gpt2")
    vectors = values_of(lm, 0)
    wanted = torch.full((len(vectors),), -1)
    one, other = (read_vectors(lm, scale * vectors, "normed", 3, wanted) for scale in (1, 7))
    assert torch.equal(one.top, other.top)
    assert (one.rank == -1).all()
    assert len(list(read_values(lm, "plain", 1, wanted.expand(3, -1)))) == 3
    with pytest.raises(ConfigError, match="projection 'tuned'"):
        project(lm, vectors, "tuned")


def test_sentences_are_told_by_their_wording(tmp_path):
    found = list(annotate(SENTENCES, small_book()))
    assert (found[0].relation, found[0].subject_type, found[0].wording) == ("P106", "person", "{} works as a")
    assert [one.relation for one in found[4:]] == [NEUTRAL, NEUTRAL]
    path = tmp_path / "corpus.txt"
    path.write_text("Anna Bell works as a doctor. Anna Bell plays the piano.\nAnna Bell plays the piano.\nOh.\n")
    assert [one.relation for one in read_sentences(path, small_book(), 10)] == ["P106", "P1303"]
    assert [one.relation for one in read_sentences(path, small_book(), 10, skip=1)] == ["P1303"]
    with pytest.raises(DataError, match="2 sentences, 5 of which are used elsewhere"):
        read_sentences(path, small_book(), 10, skip=5)
    assert {one.relation for one in read_sentences(path, None, 10)} == {NEUTRAL}
