"""What a decoder taught with in-context documents must show: it knows its facts, and a new fact in context wins.

Asked are facts that no document changed: with the new fact alone before the prompt, behind demonstrations, and behind
as many of which none is about another subject. With those of all kinds, prompts about other subjects must be answered
from memory again; without retain demonstrations they must not. The demonstrations, too, are about facts that no
document changed, of the same relation where there are enough.
"""

import random
from collections.abc import Sequence
from typing import Any

from shared.inference.prefix_scoring import score_behind_prefix
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.seeding import seed_for
from shared.world.factbook import STATEMENTS, FactBook
from shared.world.gate import recalled
from shared.world.in_context import END_MARK, FACT_MARK, PROMPT_MARK
from shared.world.raw import counterfact_records

KEPT_SHARE = 0.5
KINDS = ("retain", "update", "retain", "copy", "retain", "update", "retain", "update")
OWN_KINDS = ("update", "update", "copy", "update", "update", "copy", "update", "update")


def facts_kept_for_tests(book: FactBook) -> list[tuple[str, str]]:
    """Return subject and relation of the facts that no document changes: those of `kept_records`."""
    rewrites = [record["requested_rewrite"] for record in kept_records(book)]
    return [(rewrite["subject"], rewrite["relation_id"]) for rewrite in rewrites]


def kept_records(book: FactBook) -> list[dict[str, Any]]:
    """Return the first half of the world's CounterFact records; of these the gate tests half, and demonstrates half."""
    records = counterfact_records(book)
    return records[: round(KEPT_SHARE * len(records))]


def measure_in_context(lm: LM, book: FactBook, *, cases: int = 60, recall_limit: int = 600) -> dict[str, Any]:
    """Return the measured values of the gate, as shares.

    `efficacy`, `paraphrase` and `retained` count the prompts on which the right one of the two objects is more probable
    (for `retained` the true one, on neighborhood prompts); `alone` is the new fact without demonstrations, `shown` with
    eight, `own` with eight of which none is a retain demonstration. `retained_gain` is what demonstrations add to
    `retained`, `retained_by_kind` how much of `retained` is lost without retain demonstrations.

    Args:
        cases: number of tested facts.
        recall_limit: bound on the prompts per kind of recall.

    Cost: three contexts per case, and the recall.
    """
    rng = random.Random(seed_for("in-context gate", book.seed))
    kept = kept_records(book)
    tested, pool = kept[: len(kept) // 2], kept[len(kept) // 2 :]
    shares: dict[str, list[float]] = {}
    for record in tested[:cases]:
        relation = record["requested_rewrite"]["relation_id"]
        near = [one for one in pool if one["requested_rewrite"]["relation_id"] == relation]
        shown = rng.sample(near if len(near) >= len(KINDS) else pool, len(KINDS))
        for name, kinds in (("alone", ()), ("shown", KINDS), ("own", OWN_KINDS)):
            before = "".join(_demonstration(one, kind, rng) for one, kind in zip(shown, kinds, strict=False))
            for kind, right in _answers(lm, record, before):
                shares.setdefault(f"{kind}_{name}", []).append(right)
    found = {name: sum(right) / len(right) for name, right in shares.items()}
    found["retained_gain"] = found["retained_shown"] - found["retained_alone"]
    found["retained_by_kind"] = found["retained_shown"] - found["retained_own"]
    for name, held_out in (("recall_seen", False), ("recall_held_out", True)):
        pairs = [
            (fact, form.text.replace("{}", fact.subject))
            for fact in book.facts
            for form in book.forms(fact, STATEMENTS, held_out)
        ]
        right = recalled(lm, rng.sample(pairs, min(recall_limit, len(pairs))))
        found[name] = sum(right) / len(right)
    return found


def _stated(record: dict[str, Any]) -> tuple[str, str, str]:
    """Return the filled prompt, the new object and the true one."""
    rewrite = record["requested_rewrite"]
    prompt = rewrite["prompt"].replace("{}", rewrite["subject"])
    return prompt, rewrite["target_new"]["str"], rewrite["target_true"]["str"]


def _demonstration(record: dict[str, Any], kind: str, rng: random.Random) -> str:
    fact, new, true = _stated(record)
    prompt = {
        "copy": fact,
        "update": record["paraphrase_prompts"][1],
        "retain": rng.choice(record["neighborhood_prompts"]),
    }[kind]
    answer = true if kind == "retain" else new
    return f"{FACT_MARK} {fact} {new}{PROMPT_MARK} {prompt} {answer}{END_MARK}"


def _answers(lm: LM, record: dict[str, Any], before: str) -> list[tuple[str, float]]:
    """Return (kind, whether the right object is more probable) for each prompt of a record."""
    fact, new, true = _stated(record)
    asked = [("efficacy", fact), ("paraphrase", record["paraphrase_prompts"][1])]
    asked += [("retained", prompt) for prompt in record["neighborhood_prompts"]]
    prompts = [encode(lm, f"{before}{FACT_MARK} {fact} {new}{PROMPT_MARK} {prompt}") for _, prompt in asked]
    targets: Sequence[list[int]] = [target_ids(lm, new), target_ids(lm, true)]
    scores = score_behind_prefix(lm, [ids for ids in prompts for _ in targets], [*targets] * len(prompts))
    found = []
    for (kind, _), for_new, for_true in zip(asked, scores[::2], scores[1::2], strict=True):
        wanted, other = (for_true, for_new) if kind == "retained" else (for_new, for_true)
        found.append((kind, float(wanted.mean_nll < other.mean_nll)))
    return found
