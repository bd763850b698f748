"""Noise rules, their moments and the embedding statistics behind them."""

import numpy as np
import pytest
import torch

from shared.errors import ConfigError
from shared.model.tokens import encode
from shared.tests.tiny import TEXTS, tiny_lm
from shared.traces.noise import Noise, embedding_moments, embedding_std, make_noise

SUBJECTS = ["Anna Bell", "Space Needle"]


def test_embedding_std_counts_every_token():
    lm = tiny_lm("gpt2")
    ids = [token for subject in SUBJECTS for token in encode(lm, subject)]
    assert embedding_std(lm, SUBJECTS) == pytest.approx(lm.arch.embedding.weight[ids].std().item())
    with pytest.raises(ConfigError, match="none were given"):
        embedding_std(lm, [])


def test_embedding_moments_are_those_of_the_corpus_tokens():
    lm = tiny_lm("gpt2")
    mean, covariance = embedding_moments(lm, TEXTS, max_length=9)
    vectors = lm.arch.embedding.weight[[t for text in TEXTS for t in encode(lm, text)[:9]]].double().numpy()
    np.testing.assert_allclose(mean.numpy(), vectors.mean(0))
    np.testing.assert_allclose(covariance.numpy(), np.cov(vectors.T, bias=True), atol=1e-12)
    with pytest.raises(ConfigError, match="none hold a token"):
        embedding_moments(lm, [])


@pytest.mark.parametrize(
    ("rule", "kind"),
    [("s3", "gaussian"), ("0.1", "gaussian"), ("u0.2", "uniform"), ("us3", "uniform"), ("m", "multivariate")],
)
def test_rules(rule, kind):
    lm = tiny_lm("gpt2")
    noise = make_noise(lm, rule, SUBJECTS, TEXTS)
    assert noise.kind == kind
    scales = {"s3": 3 * embedding_std(lm, SUBJECTS), "us3": 3 * embedding_std(lm, SUBJECTS), "0.1": 0.1, "u0.2": 0.2}
    assert noise.scale == pytest.approx(scales.get(rule, 0.0))


@pytest.mark.parametrize("rule", ["", "s", "x3", "m3", "3s", "u", "-1", "0"])
def test_unknown_rules_are_refused(rule):
    with pytest.raises(ConfigError, match="noise"):
        make_noise(tiny_lm("gpt2"), rule, SUBJECTS, TEXTS)


@pytest.mark.parametrize("rule", ["m", "t5"])
def test_matched_noise_has_the_moments_of_the_embeddings(rule):
    lm = tiny_lm("gpt2")
    mean, covariance = embedding_moments(lm, TEXTS)
    drawn = make_noise(lm, rule, SUBJECTS, TEXTS).draw(np.random.RandomState(1), 4000, 10, 32).reshape(-1, 32)
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.005, rtol=0)
    assert (torch.cov(drawn.T) - covariance).norm() < 0.1 * covariance.norm()


def test_gaussian_draws_are_the_authors():
    drawn = Noise(scale=2.0).draw(np.random.RandomState(1), 2, 3, 4)
    np.testing.assert_array_equal(drawn.numpy(), np.random.RandomState(1).randn(2, 3, 4) * 2.0)


def test_uniform_draws_stay_inside():
    drawn = Noise("uniform", 0.5).draw(np.random.RandomState(1), 50, 3, 8)
    assert drawn.abs().max() <= 0.5
    assert drawn.abs().max() > 0.45
