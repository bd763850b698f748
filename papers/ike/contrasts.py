"""Questions for the contrastive knowledge assessment (Zheng et al. 2023, §5.2).

A relation comes with three wrong ones, such as "{} was died in" for a place of birth. After an edit (s, r, o*) the new
object should not be more probable under them. The authors' relations.jsonl holds 33 relations; where the facts are
generated, three relations of other facts about the same kind of subject are the wrong ones.
"""

import random
from pathlib import Path

from shared.errors import DataError
from shared.records import read_jsonl
from shared.seeding import seed_for
from shared.world.factbook import FactBook

WRONG = 3


def read_relations(path: str | Path) -> dict[str, list[str]]:
    """Return the wrong templates by relation id, from lines {"relation", "wrong": ["{} ...", ...]}.

    Raises:
        DataError: a line lacks a field, or a template does not have one slot.
    """
    found = {}
    for number, line in enumerate(read_jsonl(path), start=1):
        wrong = line.get("wrong")
        if not isinstance(line.get("relation"), str) or not isinstance(wrong, list) or not wrong:
            raise DataError(f"{path}, line {number}: expected `relation` and a list `wrong`, got {sorted(line)}")
        bad = [text for text in wrong if not isinstance(text, str) or text.count("{}") != 1]
        if bad:
            raise DataError(
                f"{path}, line {number}: {bad[0]!r} in `wrong` has no slot {{}} for the subject, or several"
            )
        found[line["relation"]] = wrong
    return found


def related_relations(book: FactBook) -> dict[str, list[str]]:
    """Return three wrong templates by relation: others that the same kind of subject has, of the same objects first."""
    kinds = {(f.relation_id, book.entity[f.subject_id].type, book.entity[f.object_id].type) for f in book.facts}
    subject = {relation: kind for relation, kind, _ in kinds}
    objects = {relation: kind for relation, _, kind in kinds}
    found = {}
    for relation in sorted(subject):
        others = [other for other in sorted(subject) if other != relation and subject[other] == subject[relation]]
        random.Random(seed_for("ike contrasts", relation)).shuffle(others)
        others.sort(key=lambda other: objects[other] != objects[relation])
        forms = [book.relation[other].forms[0].text for other in others[:WRONG]]
        if len(forms) == WRONG:
            found[relation] = forms
    return found
