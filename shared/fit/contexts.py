"""Context templates: short texts put in front of a prompt, so that key and value hold in more than one context."""

import unicodedata
from collections.abc import Sequence

from shared.data.requests import EditRequest
from shared.data.templates import fill
from shared.inference.generation import generate
from shared.model.models import LM
from shared.model.tokens import Prompt, encode, encode_prompt
from shared.seeding import seed_for

# A sampled text that begins with nothing but the end-of-text token.
END_OF_TEXT = ""


def clean_prefix(text: str, end_of_text: str) -> str:
    """Return a sampled text as a prefix: normalised, without the end-of-text mark and without braces.

    ROME's authors leave braces in, and a sample that holds one breaks the template; here they become spaces, as in
    MEMIT's code.
    """
    text = unicodedata.normalize("NFKD", text).replace("\n\n", " ").replace(end_of_text, "")
    return text.replace("{", " ").replace("}", " ")


def sample_contexts(
    lm: LM,
    starts: Sequence[str],
    lengths: Sequence[Sequence[int]],
    seed: int = 0,
    *,
    paper: str,
    top_k: int = 5,
) -> list[str]:
    """Return the empty context and texts sampled from the model, each followed by ". {}".

    ROME samples from the end-of-text token (§3.1, App. E.5), MEMIT from five words (code `get_context_templates`).

    Args:
        starts: what the texts begin with; `END_OF_TEXT` is the end-of-text token.
        lengths: (total tokens, samples per start) of each group; the total counts the start's tokens.
        seed: the authors sample unseeded; equal seeds give equal contexts here.
        paper: enters each text's seed, so that papers draw independently.
        top_k: how many tokens are sampled from.
    """
    end = lm.tokenizer.bos_token_id
    end = lm.tokenizer.eos_token_id if end is None else end
    mark = lm.tokenizer.decode([end])
    begun = [[end] if start == END_OF_TEXT else encode(lm, start) for start in starts]
    templates = ["{}"]
    for length, count in lengths:
        prompts = [ids for ids in begun for _ in range(count)]
        seeds = [seed_for(paper, "context", seed, length, index) for index in range(len(prompts))]
        texts = generate(lm, prompts, max_length=length, seeds=seeds, top_k=top_k)
        templates += [f"{clean_prefix(lm.tokenizer.decode(ids), mark)}. {{}}" for ids in texts]
    return templates


def in_contexts(lm: LM, request: EditRequest, contexts: Sequence[str], fact_token: str) -> list[Prompt]:
    """Return the request's prompt, tokenised in every context; the first is the plain prompt."""
    return [encode_prompt(lm, fill(context, request.prompt), request.subject, fact_token) for context in contexts]
