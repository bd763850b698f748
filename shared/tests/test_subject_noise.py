"""Noise on the subject while an edit is made: where it lands, what it depends on, and what it does to a search."""

import numpy as np
import pytest
import torch

from shared.errors import ConfigError
from shared.fit.fitting import Row, teacher_forced
from shared.fit.keys import lookup_states
from shared.fit.optimise import VectorProblem, VectorSettings, optimise_vectors
from shared.model.tokens import encode_prompt
from shared.tests.tiny import tiny_lm
from shared.traces.subject_noise import NoiseSource, SubjectNoise, corrupted, noise_sources

SUBJECT = "Anna Bell"
PLAIN, PREFIXED = "{} plays the", "It rains. {} plays the"


def _prompts(lm):
    return [encode_prompt(lm, template, SUBJECT) for template in (PLAIN, PREFIXED)]


def test_each_text_is_corrupted_at_its_own_subject():
    lm = tiny_lm()
    prompts = _prompts(lm)
    source = NoiseSource(SubjectNoise(0.5, seed=3), prompts[0], lm.arch.d_model)
    random = np.random.RandomState(3)
    for prompt in source.corrupt(prompts):
        expected = 0.5 * random.randn(prompt.stop - prompt.start, lm.arch.d_model)
        assert len(prompt.noise) == prompt.stop
        assert not prompt.noise[: prompt.start].any()
        np.testing.assert_allclose(prompt.noise[prompt.start :], expected)


def test_redrawn_noise_is_the_next_draw_at_the_plain_prompts_positions():
    lm = tiny_lm()
    prompts = _prompts(lm)
    plain = prompts[0]
    source = NoiseSource(SubjectNoise(0.5, redrawn=True), plain, lm.arch.d_model)
    random = np.random.RandomState(1)
    for count in (2, 1):
        expected = 0.5 * random.randn(count, plain.stop - plain.start, lm.arch.d_model)
        for drawn, wanted in zip(source.draw(prompts[:count]), expected, strict=True):
            np.testing.assert_allclose(drawn[plain.start :], wanted)
            assert len(drawn) == plain.stop


def test_requests_without_noise_are_left_alone():
    lm = tiny_lm()
    prompts = [_prompts(lm)]
    assert corrupted(prompts, noise_sources(None, prompts, lm.arch.d_model))[0] is prompts[0]
    [noisy] = corrupted(prompts, noise_sources(SubjectNoise(0.5), prompts, lm.arch.d_model))
    assert all(prompt.noise is not None for prompt in noisy)


def test_keys_are_read_under_the_noise():
    lm = tiny_lm()
    plain = _prompts(lm)[0]
    [noisy] = NoiseSource(SubjectNoise(0.5), plain, lm.arch.d_model).corrupt([plain])
    states = lookup_states(lm, [plain, noisy, plain], keys=[1])
    embedded = lm.arch.embedding(torch.tensor([plain.ids])).detach()
    embedded[0, : plain.stop] += noisy.noise.float()
    seen = {}
    handle = lm.arch.mlp_out(1).register_forward_hook(lambda _module, args, _out: seen.update(key=args[0]))
    lm.model(inputs_embeds=embedded)
    handle.remove()
    torch.testing.assert_close(states.keys[1][1], seen["key"][0, plain.lookup])
    assert torch.equal(states.keys[1][0], states.keys[1][2])


def test_fresh_noise_enters_every_step_and_problems_stay_independent():
    lm = tiny_lm()
    settings = VectorSettings(n_steps=5, lr=0.05, stop_below=0.0)

    def problem(seed):
        plain, prefixed = _prompts(lm)
        essence = encode_prompt(lm, "{} is a", SUBJECT)
        source = NoiseSource(SubjectNoise(0.5, seed, redrawn=True), plain, lm.arch.d_model)
        texts = [plain, prefixed] if seed % 2 else [prefixed, plain]
        return VectorProblem(
            str(seed),
            [teacher_forced(prompt.ids, [5 + seed, 7]) for prompt in texts],
            [prompt.lookup for prompt in texts],
            Row(essence.ids[: essence.lookup + 1]),
            fresh_noise=lambda: source.draw([*texts, essence]),
        )

    together = optimise_vectors(lm, [problem(1), problem(2)], 1, settings=settings)
    for seed, result in zip((1, 2), together, strict=True):
        alone = optimise_vectors(lm, [problem(seed)], 1, settings=settings)[0]
        assert (result.delta - alone.delta).norm() <= 1e-4 * alone.delta.norm()
    calm = VectorSettings(n_steps=5, lr=1e-8, stop_below=0.0)
    losses = optimise_vectors(lm, [problem(1)], 1, settings=calm)[0].terms[:, 1]
    assert len({round(loss, 4) for loss in losses.tolist()}) == 5


def test_problems_that_stop_leave_the_redrawn_batch():
    lm = tiny_lm()

    def problem(template, seed):
        plain = encode_prompt(lm, template, SUBJECT)
        source = NoiseSource(SubjectNoise(1e-6, seed, redrawn=True), plain, lm.arch.d_model)
        return VectorProblem(
            template,
            [teacher_forced(plain.ids, [5 + seed])],
            [plain.lookup],
            None,
            fresh_noise=lambda: source.draw([plain]),
        )

    texts = [PLAIN, PREFIXED, "It rains. It rains. {} plays"]
    free = VectorSettings(n_steps=12, lr=0.1, stop_below=0.0)
    alone = [optimise_vectors(lm, [problem(text, seed)], 1, settings=free)[0] for seed, text in enumerate(texts)]
    threshold = sorted(result.terms[5, 0].item() for result in alone)[1]
    stopping = VectorSettings(n_steps=12, lr=0.1, stop_below=threshold)
    together = optimise_vectors(lm, [problem(text, seed) for seed, text in enumerate(texts)], 1, settings=stopping)
    lengths = [len(result.terms) for result in together]
    assert len(set(lengths)) > 1
    for result, reference in zip(together, alone, strict=True):
        torch.testing.assert_close(result.terms, reference.terms[: len(result.terms)], rtol=1e-3, atol=1e-4)


def test_settings_are_checked():
    assert SubjectNoise.of(None) is None
    assert SubjectNoise.of({"scale": 0.1, "seed": 2}) == SubjectNoise(0.1, 2)
    with pytest.raises(ConfigError, match="scale 0"):
        SubjectNoise(0)
    with pytest.raises(ConfigError, match="loudness"):
        SubjectNoise.of({"scale": 0.1, "loudness": 2})
