"""Replies of an encoder-decoder to prompts, many at a time."""

from collections.abc import Sequence

import torch

from shared.model.models import LM

LONGEST = 32
TOGETHER = 128


@torch.no_grad()
def greedy_replies(lm: LM, prompts: Sequence[str]) -> list[str]:
    """Return the most probable reply to each prompt, token by token.

    Cost: at most 32 steps of the decoder for every 128 prompts.
    """
    said = []
    for first in range(0, len(prompts), TOGETHER):
        asked = lm.tokenizer(list(prompts[first : first + TOGETHER]), padding=True, return_tensors="pt").to(lm.device)
        ids = lm.model.generate(**asked, max_new_tokens=LONGEST, do_sample=False, num_beams=1)
        said += [text.strip() for text in lm.tokenizer.batch_decode(ids, skip_special_tokens=True)]
    return said
