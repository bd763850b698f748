"""Second moments: parity with the authors' statistics, shards, digests, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.errors import ConfigError, DataError, ModelError, NumericalError
from shared.fit.moments import collect, digests, main
from shared.fit.second_moment import SecondMoments, require_size, unit_rows
from shared.model.forward import embed, run_blocks
from shared.model.hooks import capture
from shared.model.models import load_lm
from shared.model.tokens import encode
from shared.tests.tiny import FAMILIES, TEXTS, tiny_lm

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
LONG = " ".join(TEXTS)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join([*TEXTS, "", LONG, *reversed(TEXTS)]) + "\n")
    return path


def test_equals_the_authors_statistics():
    lm = load_lm(GOLDEN / "model")
    moments = collect(lm, GOLDEN / "moments" / "corpus.txt", [1, 3])
    sums = load_file(GOLDEN / "moments" / "mom2_float32.safetensors")
    assert moments.count == 13612
    for layer in (1, 3):
        expected = sums[f"layer{layer}.mom2_sum"].double()
        assert (moments.sums[layer] - expected).norm() <= 1e-6 * expected.norm()


def test_every_token_of_every_document_counts_and_long_ones_are_cut(corpus):
    lm = tiny_lm()
    moments = collect(lm, corpus, [0, 2], max_length=12, precision="float64")
    total, count = torch.zeros(lm.arch.d_mlp, lm.arch.d_mlp, dtype=torch.float64), 0
    for text in [*TEXTS, LONG, *TEXTS]:
        ids = torch.tensor([encode(lm, text)[:12]])
        with torch.no_grad(), capture({"key": lm.arch.mlp_out(2)}, inputs=True) as seen:
            run_blocks(lm, embed(lm, ids), range(3))
        keys = seen["key"][0].double()
        total, count = total + keys.T @ keys, count + len(keys)
    assert moments.count == count
    torch.testing.assert_close(moments.sums[2], total, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(moments.moment(2), total / count, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_keys_of_the_attentions_output_projection(family, corpus):
    lm = tiny_lm(family)
    moments = collect(lm, corpus, [1], site="attention")
    ids = torch.tensor([encode(lm, TEXTS[0])])
    names = {"gpt2": "c_proj", "gptj": "out_proj", "gpt_neox": "dense", "llama": "o_proj"}
    module = getattr(lm.arch.attention(1), names[family])
    with torch.no_grad(), capture({"key": module}, inputs=True) as seen:
        run_blocks(lm, embed(lm, ids), range(2))
    assert moments.sums[1].shape == (seen["key"].shape[-1],) * 2
    assert moments.made_from["site"] == "attention"
    alone = corpus.with_name("one.txt")
    alone.write_text(TEXTS[0] + "\n")
    one = collect(lm, alone, [1], site="attention").sums[1]
    torch.testing.assert_close(one, (seen["key"][0].T @ seen["key"][0]).double(), rtol=1e-5, atol=1e-5)
    with pytest.raises(ConfigError, match="'embedding' is unknown"):
        collect(lm, corpus, [1], site="embedding")


def test_shards_and_batches_do_not_change_the_sums(corpus):
    lm = tiny_lm()
    whole = collect(lm, corpus, [1], max_tokens=30)
    parts = [collect(lm, corpus, [1], shard=(index, 3)) for index in range(3)]
    with pytest.raises(DataError, match="lack shards"):
        parts[0].merged(parts[1]).require_complete()
    merged = parts[2].merged(parts[0]).merged(parts[1])
    merged.require_complete()
    assert merged.count == whole.count
    torch.testing.assert_close(merged.sums[1], whole.sums[1], rtol=1e-6, atol=1e-6)
    with pytest.raises(DataError, match="each shard may be summed once"):
        merged.merged(parts[1])


def test_max_documents_takes_the_authors_shuffled_choice(corpus):
    lm = tiny_lm()
    few = collect(lm, corpus, [1], max_documents=3)
    assert few.count < collect(lm, corpus, [1]).count
    assert few.made_from["max_documents"] == "3"


def test_saving_keeps_every_bit_and_digests(corpus, tmp_path):
    lm = tiny_lm()
    moments = collect(lm, corpus, [0, 1])
    path = tmp_path / "m.safetensors"
    moments.save(path)
    again = SecondMoments.load(path, expected=digests(lm))
    assert again.count == moments.count
    assert again.made_from == moments.made_from
    assert all(torch.equal(again.sums[layer], moments.sums[layer]) for layer in (0, 1))
    with pytest.raises(ModelError, match="made from model"):
        SecondMoments.load(path, expected=digests(tiny_lm(seed=1)))
    with pytest.raises(DataError, match="made from max_length"):
        SecondMoments.load(path, expected={"max_length": "64"})


def test_equal_moments_are_equal_bytes(corpus, tmp_path):
    moments = collect(tiny_lm(), corpus, [0])
    files = [tmp_path / f"{place}.safetensors" for place in range(8)]
    for file in files:
        moments.save(file)
    assert len({file.read_bytes() for file in files}) == 1


def test_broken_files_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        SecondMoments.load(tmp_path / "absent")
    broken = tmp_path / "broken"
    broken.write_bytes(b"not safetensors")
    with pytest.raises(DataError, match="broken"):
        SecondMoments.load(broken)


def test_a_truncated_file_is_refused(corpus, tmp_path):
    path = tmp_path / "m.safetensors"
    collect(tiny_lm(), corpus, [0]).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"m\.safetensors"):
        SecondMoments.load(path)


def test_reads_the_authors_npz(tmp_path):
    total = np.eye(4, dtype=np.float32) * 8
    np.savez(tmp_path / "s.npz", **{"mom2.mom2": total, "mom2.count": 4, "mom2.constructor": "x", "sample_size": 2})
    moments = SecondMoments.from_npz({3: tmp_path / "s.npz"})
    torch.testing.assert_close(moments.moment(3), 2 * torch.eye(4, dtype=torch.float64))
    np.savez(tmp_path / "evil.npz", **{"mom2.mom2": np.array([object()]), "mom2.count": 4})
    with pytest.raises(DataError, match="evil"):
        SecondMoments.from_npz({3: tmp_path / "evil.npz"})


def test_solve_inverts_and_caches_the_factor():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    moments = SecondMoments({0: rows.T @ rows}, 200)
    keys = torch.randn(5, 6, generator=generator)
    solved = moments.solve(0, keys)
    torch.testing.assert_close(solved @ moments.moment(0), keys.double())
    torch.testing.assert_close(moments.solve(0, keys[:2]), solved[:2])
    torch.testing.assert_close(unit_rows(solved).norm(dim=1), torch.ones(5, dtype=torch.float64))


def test_a_singular_moment_is_refused_and_a_ridge_helps():
    rows = torch.randn(200, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows[:, 2] = 0
    dead = SecondMoments({0: rows.T @ rows}, 200)
    with pytest.raises(NumericalError, match="ridge"):
        dead.solve(0, torch.ones(1, 6))
    assert dead.solve(0, torch.ones(1, 6), ridge=1e-6).isfinite().all()
    with pytest.raises(NumericalError, match="cannot fill"):
        SecondMoments({0: torch.eye(6, dtype=torch.float64)}, 5).solve(0, torch.ones(1, 6))


def test_wrong_layers_sizes_and_settings(corpus):
    lm = tiny_lm()
    moments = SecondMoments({0: torch.eye(6, dtype=torch.float64)}, 10)
    with pytest.raises(DataError, match="no second moment of layer 4"):
        moments.moment(4)
    with pytest.raises(ModelError, match="6 wide"):
        require_size(lm, moments, [0])
    with pytest.raises(ConfigError, match="max_length"):
        collect(lm, corpus, [0], max_length=10_000)
    with pytest.raises(ModelError, match="layer 9"):
        collect(lm, corpus, [9])


def test_command_line_collects_shards_and_merges(corpus, tmp_path):
    lm = tiny_lm()
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    common = ["collect", "--model", str(tmp_path / "model"), "--corpus", str(corpus), "--layers", "all"]
    shards = [tmp_path / f"{index}.safetensors" for index in range(2)]
    for index, path in enumerate(shards):
        assert main([*common, "--shard", f"{index}/2", "--out", str(path)]) == 0
    assert main(["merge", *map(str, shards), "--out", str(tmp_path / "all.safetensors")]) == 0
    merged = SecondMoments.load(tmp_path / "all.safetensors", expected=digests(lm))
    torch.testing.assert_close(merged.sums[2], collect(lm, corpus, [2]).sums[2], rtol=1e-6, atol=1e-6)
    assert main([*common, "--max-documents", "0", "--out", str(tmp_path / "none")]) == 1
    assert not (tmp_path / "none").exists()
