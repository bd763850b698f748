"""The context templates of ROME: texts sampled from the end-of-text token."""

from collections.abc import Sequence

from shared.fit.contexts import END_OF_TEXT, sample_contexts
from shared.model.models import LM


def context_templates(lm: LM, lengths: Sequence[Sequence[int]] = ((5, 10), (10, 10)), seed: int = 0) -> list[str]:
    """Return the empty context and ROME's sampled ones (§3.1, App. E.5; code `get_context_templates`).

    Args:
        lengths: (total tokens, number of samples) per group; the total counts the end-of-text token.
        seed: seed of the samples.
    """
    return sample_contexts(lm, [END_OF_TEXT], lengths, seed, paper="rome")
