"""Partial passes equal the model's own forward pass, for every layout."""

import pytest
import torch

from shared.errors import ModelError
from shared.model.forward import KeyValues, causal_mask, embed, logits, pad_right, run_blocks, token_batches
from shared.model.hooks import capture, replace
from shared.model.models import load_lm
from shared.tests.tiny import FAMILIES, tiny_lm


def _ids(lm, rows=3, length=9):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, lm.arch.embedding.num_embeddings, (rows, length), generator=generator)


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_pass_equals_the_model(family):
    lm = tiny_lm(family)
    ids = _ids(lm)
    ours = logits(lm, run_blocks(lm, embed(lm, ids), range(lm.arch.n_layers)))
    torch.testing.assert_close(ours, lm.model(ids).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_resuming_a_suffix_equals_the_whole_pass(family):
    lm = tiny_lm(family)
    ids = _ids(lm)
    cache, after = KeyValues(record=True), {}
    run_blocks(lm, embed(lm, ids), range(3), cache=cache, observe=lambda layer, h: after.__setitem__(layer, h))
    rows = torch.tensor([2, 0])
    resumed = run_blocks(
        lm, after[0][rows, 4:], range(1, 3), positions=torch.arange(4, 9)[None], cache=cache.select(rows, 4)
    )
    torch.testing.assert_close(logits(lm, resumed), lm.model(ids).logits[rows, 4:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_ragged_suffixes_with_a_mask(family):
    """Rows that resume at different positions share one batch through an explicit mask."""
    lm = tiny_lm(family)
    ids = _ids(lm, rows=2)
    cache, after = KeyValues(record=True), {}
    run_blocks(lm, embed(lm, ids), range(3), cache=cache, observe=lambda layer, h: after.__setitem__(layer, h))
    starts, width = torch.tensor([3, 6]), 3
    positions = starts[:, None] + torch.arange(width)
    stored = torch.arange(6)[None].expand(2, -1)
    keys = torch.cat([stored, positions], dim=1)
    valid = torch.cat([stored < starts[:, None], torch.ones(2, width, dtype=torch.bool)], dim=1)
    suffix = after[0].gather(1, positions[..., None].expand(-1, -1, lm.arch.d_model))
    hidden = run_blocks(
        lm,
        suffix,
        range(1, 3),
        positions=positions,
        mask=causal_mask(positions, keys, valid),
        cache=cache.select(torch.arange(2), 6),
    )
    whole = lm.model(ids).logits
    expected = torch.stack([whole[0, 3:6], whole[1, 6:9]])
    torch.testing.assert_close(logits(lm, hidden), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_hooks_see_the_key_site_and_are_removed(family):
    lm = tiny_lm(family)
    ids = _ids(lm)
    before = lm.model(ids).logits
    with capture({"key": lm.arch.mlp_out(1)}, inputs=True) as seen:
        lm.model(ids)
    assert seen["key"].shape == (3, 9, lm.arch.d_mlp)
    with replace([lm.arch.mlp(1)], lambda _index, output: torch.zeros_like(output)):
        assert not torch.equal(lm.model(ids).logits, before)
    assert torch.equal(lm.model(ids).logits, before)


def test_token_batches_respect_the_bound_and_lose_nothing():
    lengths = [5, 1, 9, 3, 3, 7, 30]
    batches = token_batches(lengths, 12)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= 12 for batch in batches)


def test_pad_right_fills_with_the_pad_token():
    assert pad_right([[1, 2, 3], [4]], 0).tolist() == [[1, 2, 3], [4, 0, 0]]


def test_unknown_layer_and_module_are_named():
    lm = tiny_lm()
    with pytest.raises(ModelError, match=r"layer 7 does not exist.*0\.\.2"):
        lm.arch.mlp_out(7)
    with pytest.raises(ModelError, match="transformer.h.9.mlp"):
        lm.arch.module_named("transformer.h.9.mlp")
    with pytest.raises(ModelError, match="expected a linear map"):
        lm.arch.module_named("transformer.h.0.mlp")


def test_a_folder_without_safetensors_is_refused(tmp_path):
    tiny_lm().model.config.save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"not read")
    with pytest.raises(ModelError, match=r"no \.safetensors weights.*pytorch_model\.bin.*refused"):
        load_lm(tmp_path)
    with pytest.raises(ModelError, match="config.json"):
        load_lm(tmp_path.joinpath("nothing").mkdir() or tmp_path / "nothing")


@pytest.mark.parametrize("family", FAMILIES)
def test_save_and_load_keep_the_numbers(family, tmp_path):
    lm = tiny_lm(family)
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    again = load_lm(tmp_path)
    ids = _ids(lm)
    torch.testing.assert_close(again.model(ids).logits, lm.model(ids).logits)
    assert again.arch.describe() == lm.arch.describe()
