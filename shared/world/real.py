"""Turning real CounterFact records into a fact book, so that a decoder can be trained on their true statements."""

import json
import logging
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from shared.errors import DataError
from shared.seeding import seed_for
from shared.world.factbook import Entity, Fact, FactBook, Form, Relation

logger = logging.getLogger(__name__)

MIN_TEMPLATE_USES = 3


def counterfact_facts(path: Path, records: int | None = None, seed: int = 0) -> FactBook:
    """Return the facts that CounterFact's records state.

    A record's request gives its subject's true object; its neighborhood prompts give the same object for other
    subjects, its attribute prompts give the new object for the subjects that truly have it. Prompt forms are the
    requests' own templates and the generation prompts' ones that several records share. A pair for which the
    records state several objects keeps the first.

    Args:
        path: `counterfact.json` in the public format.
        records: use only the first so many records.
        seed: seed of the choice of held-out forms.

    Raises:
        DataError: if the file or a record cannot be used.
    """
    raw = _read(path)[:records]
    templates = _templates(raw)
    found: dict[tuple[str, str], tuple[str, str | None]] = {}
    rewrite_form: dict[tuple[str, str], str] = {}
    dropped: Counter[str] = Counter()
    for record in raw:
        request = record["requested_rewrite"]
        key = request["subject"], request["relation_id"]
        _keep(found, key, request["target_true"], dropped)
        rewrite_form.setdefault(key, request["prompt"])
    for record in raw:
        request = record["requested_rewrite"]
        for prompts, answer in (("neighborhood_prompts", "target_true"), ("attribute_prompts", "target_new")):
            for prompt in record[prompts]:
                subject = _subject_in(prompt, templates[request["relation_id"]])
                if subject is None:
                    dropped["prompts that follow no known template"] += 1
                else:
                    _keep(found, (subject, request["relation_id"]), request[answer], dropped)
    for reason, count in dropped.items():
        logger.info("%s: %d %s", path, count, reason)
    return _book(found, rewrite_form, templates, Path(path).stem, seed)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
        for record in raw:
            request = record["requested_rewrite"]
            complete = [request["subject"], request["relation_id"], request["prompt"]]
            complete += [request["target_true"]["str"], request["target_new"]["str"]]
            complete += [record["neighborhood_prompts"], record["attribute_prompts"], record["generation_prompts"]]
    except OSError as error:
        raise DataError(f"{path}: cannot read CounterFact records ({error.strerror})") from error
    except (json.JSONDecodeError, TypeError) as error:
        raise DataError(f"{path}: not a JSON list of CounterFact records ({error}); fetch the file again") from error
    except KeyError as error:
        raise DataError(
            f"{path}: case {record.get('case_id')!r} lacks field {error}; expected CounterFact's schema"
        ) from error
    return raw


def _templates(raw: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return each relation's prompt templates, most used first; those of single records are left out as accidental."""
    uses: dict[str, Counter[str]] = defaultdict(Counter)
    for record in raw:
        request = record["requested_rewrite"]
        uses[request["relation_id"]][request["prompt"]] += MIN_TEMPLATE_USES
        for prompt in dict.fromkeys(record["generation_prompts"]):
            if prompt.count(request["subject"]) == 1:
                uses[request["relation_id"]][prompt.replace(request["subject"], "{}")] += 1
    return {
        relation: [text for text, count in counts.most_common() if count >= MIN_TEMPLATE_USES and text.count("{}") == 1]
        for relation, counts in uses.items()
    }


def _subject_in(prompt: str, templates: list[str]) -> str | None:
    """Return the subject of `prompt` under the most specific template that fits, or None."""
    best: tuple[int, str] | None = None
    for template in templates:
        before, after = template.split("{}")
        fits = prompt.startswith(before) and prompt.endswith(after) and len(prompt) > len(before) + len(after)
        if fits and (best is None or len(template) > best[0]):
            best = len(template), prompt[len(before) : len(prompt) - len(after)]
    return best[1].strip() if best else None


def _keep(
    found: dict[tuple[str, str], tuple[str, str | None]],
    key: tuple[str, str],
    target: dict[str, str | None],
    dropped: Counter[str],
) -> None:
    known = found.setdefault(key, (str(target["str"]), target["id"]))
    if known[0] != target["str"]:
        dropped["further objects of a known (subject, relation)"] += 1


def _book(
    found: dict[tuple[str, str], tuple[str, str | None]],
    rewrite_form: dict[tuple[str, str], str],
    templates: dict[str, list[str]],
    name: str,
    seed: int,
) -> FactBook:
    relations = [
        Relation(
            id=relation,
            name=relation,
            forms=[
                Form(text=text, kind="subject_first" if text.startswith("{}") else "relation_first") for text in texts
            ],
        )
        for relation, texts in sorted(templates.items())
    ]
    subjects = {subject: f"S{i}" for i, subject in enumerate(dict.fromkeys(subject for subject, _ in found))}
    facts = []
    for (subject, relation), (answer, answer_id) in found.items():
        rng = random.Random(seed_for("held out", seed, subject, relation))
        free = [i for i, text in enumerate(templates[relation]) if text != rewrite_form.get((subject, relation))]
        held_out = [rng.choice(free)] if len(templates[relation]) >= 3 else []
        facts.append(
            Fact(
                subject_id=subjects[subject],
                subject=subject,
                relation_id=relation,
                object_id=answer_id or f"object:{answer}",
                object=answer,
                held_out=held_out,
            )
        )
    # The records say nothing of types; subjects of the same relation are of the same kind more often than not.
    kinds = dict(reversed(found))
    entities = [Entity(id=identifier, type=kinds[name], name=name) for name, identifier in subjects.items()]
    order = {identifier: i for i, identifier in enumerate(subjects.values())}
    facts.sort(key=lambda fact: order[fact.subject_id])
    return FactBook(name=name, seed=seed, relations=relations, entities=entities, facts=facts)
