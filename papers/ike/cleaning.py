"""Cleaning CounterFact's paraphrases: the unrelated sentence before the subject goes (authors' clean_paraphrase.py)."""

import logging

from shared.data.requests import Case

log = logging.getLogger(__name__)


def clean_paraphrase(prompt: str, subject: str) -> str:
    """Return the paraphrase without the unrelated text that CounterFact puts in front of it.

    Of the text before the subject, everything up to its last full stop and its last line break goes; where the word
    "Category" is left over, the prompt begins at the subject. A full stop of an abbreviation cuts, too, as in the
    authors' code. A prompt without the subject is returned as it is: the authors' code would garble it.
    """
    at = prompt.find(subject)
    if at < 0:
        log.warning("paraphrase %r does not hold the subject %r: left as it is", prompt, subject)
        return prompt
    before = prompt[:at].rpartition(".")[2].rpartition("\n")[2]
    if "Category" in before:
        before = ""
    return (before + prompt[at:]).strip()


def cleaned(case: Case) -> Case:
    """Return the case with its paraphrases cleaned."""
    prompts = tuple(clean_paraphrase(prompt, case.request.subject) for prompt in case.paraphrase_prompts)
    return case.model_copy(update={"paraphrase_prompts": prompts})
