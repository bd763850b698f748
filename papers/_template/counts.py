"""What a set of edit requests is made of, as counts per relation."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from shared.errors import DataError
from shared.records import read_json


@dataclass(frozen=True)
class Counts:
    """Records of one relation, and the mean number of words of their prompts with the subject filled in."""

    records: int
    prompt_words: float


def read_prompts(path: str | Path) -> list[tuple[str, str]]:
    """Return relation and filled rewrite prompt of each record of a CounterFact file.

    Raises:
        DataError: if a record has no request, or its prompt has no slot for the subject.
    """
    prompts = []
    for number, record in enumerate(read_json(path)):
        try:
            request = record["requested_rewrite"]
            prompt, subject, relation = request["prompt"], request["subject"], request["relation_id"]
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{path}, record {number}: no {error} in requested_rewrite; expected CounterFact"
            ) from error
        if prompt.count("{}") != 1:
            raise DataError(f"{path}, record {number}: prompt {prompt!r} has {prompt.count('{}')} slots, expected one")
        prompts.append((relation, prompt.replace("{}", subject)))
    return prompts


def count_by_relation(prompts: Iterable[tuple[str, str]], min_records: int = 1) -> Mapping[str, Counts]:
    """Return the counts per relation and, as `all`, over all of them; rarer relations count in `all` only.

    Args:
        prompts: relation and filled prompt of each record.
        min_records: relations with fewer records get no line of their own.
    """
    words: dict[str, list[int]] = defaultdict(list)
    for relation, prompt in prompts:
        words["all"].append(len(prompt.split()))
        words[relation].append(len(prompt.split()))
    kept = [name for name in sorted(words) if name != "all" and len(words[name]) >= min_records]
    return {name: Counts(len(words[name]), fmean(words[name])) for name in ["all", *kept]}
