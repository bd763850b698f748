"""The slow way: one case, one prompt, one target at a time, by the Hugging Face model alone."""

import torch

from shared.data.probes import Probe
from shared.edits.deltas import applied
from shared.model.models import LM


@torch.no_grad()
def plain_log_probs(lm: LM, prompt: str, target: str) -> tuple[list[float], list[bool]]:
    """Tokenise the whole text as the authors do and read the target's log-probabilities from the model's logits."""
    prompt_length = len(lm.tokenizer(prompt)["input_ids"])
    ids = lm.tokenizer(f"{prompt} {target}", return_tensors="pt")["input_ids"]
    log_probs = lm.model(ids).logits[0].log_softmax(-1)
    tokens = ids[0, prompt_length:]
    predicted = log_probs[prompt_length - 1 : -1]
    return predicted.gather(1, tokens[:, None])[:, 0].tolist(), (predicted.argmax(-1) == tokens).tolist()


def plain_answers(lm: LM, probes_and_edits: list[tuple[Probe, object]]) -> list[dict[str, tuple]]:
    """Change the weights, ask one probe, restore the weights; again for the next."""
    answers = []
    for probe, edit in probes_and_edits:
        with applied(lm, edit):
            sides = {"new": probe.target_new, "true": probe.target_true}
            answers.append({side: plain_log_probs(lm, probe.prompt, t) for side, t in sides.items() if t is not None})
    return answers
