"""Context templates: short texts put in front of a prompt, so that key and value hold in more than one context."""

import unicodedata
from collections.abc import Sequence

from shared.generation import generate
from shared.models import LM
from shared.requests import EditRequest
from shared.seeding import seed_for
from shared.tokens import Prompt, encode_prompt, fill


def clean_prefix(text: str, end_of_text: str) -> str:
    """Return a sampled text as a prefix: normalised, without the end-of-text mark and without braces.

    The authors leave braces in, and a sample that holds one breaks the template; here they become spaces.
    """
    text = unicodedata.normalize("NFKD", text).replace("\n\n", " ").replace(end_of_text, "")
    return text.replace("{", " ").replace("}", " ")


def context_templates(
    lm: LM, lengths: Sequence[tuple[int, int]] = ((5, 10), (10, 10)), seed: int = 0, top_k: int = 5
) -> list[str]:
    """Return the empty context and texts sampled from the end-of-text token, each followed by ". {}" (§3.1, App. E.5).

    Args:
        lengths: (total tokens, number of samples) per group; the total counts the end-of-text token.
        seed: the authors sample unseeded; equal seeds give equal contexts here.
        top_k: how many tokens are sampled from.
    """
    start = lm.tokenizer.bos_token_id
    start = lm.tokenizer.eos_token_id if start is None else start
    templates = ["{}"]
    for length, count in lengths:
        seeds = [seed_for("rome", "context", seed, length, index) for index in range(count)]
        texts = generate(lm, [[start]] * count, max_length=length, seeds=seeds, top_k=top_k)
        mark = lm.tokenizer.decode([start])
        templates += [f"{clean_prefix(lm.tokenizer.decode(ids), mark)}. {{}}" for ids in texts]
    return templates


def in_contexts(lm: LM, request: EditRequest, contexts: Sequence[str], fact_token: str) -> list[Prompt]:
    """Return the request's prompt, tokenised in every context; the first is the plain prompt."""
    return [encode_prompt(lm, fill(context, request.prompt), request.subject, fact_token) for context in contexts]
