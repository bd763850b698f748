"""A model, a method and the edits made so far: choose a method, edit, look at the outcome, take it back.

    editor = ModelEditor("results/models/world-small", "rome")
    outcome = editor.edit({"subject": "Gun Maigrur", "prompt": "{} works as a", "target_new": "pilot"})
    editor.complete("Gun Maigrur works as a")
    editor.undo()

Every method of `shared.editing.catalogue` is used the same way, with the settings that its paper's room holds for the
model.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from shared.data.probes import POST, PRE, ProbeRow
from shared.data.requests import Case, own_case
from shared.editing.adapters import load_edit, save_edit, save_lora
from shared.editing.catalogue import find_method
from shared.editing.editors import make_editor, takes_of
from shared.editing.evaluate import EvaluationOptions, evaluate_batch
from shared.editing.published import find_moments
from shared.edits.deltas import Edit, applied, merge
from shared.errors import ConfigError, DataError
from shared.fit.moments import collect
from shared.fit.second_moment import SecondMoments
from shared.inference.generation import generate
from shared.inference.scoring import score_targets
from shared.measures.measure import DEFINITIONS, measure
from shared.measures.metrics import summarise
from shared.model.models import LM, load_lm
from shared.model.tokens import encode, target_ids
from shared.seeding import seed_for

PHASES = {PRE: "before", POST: "after"}
TOP_K = 5
FILE, FILES = "edit_{:03}.safetensors", "edit_*.safetensors"


@dataclass(frozen=True)
class Outcome:
    """One edit and what it did.

    Attributes:
        edit: the change.
        cases: the facts that were edited, with what was asked about them.
        rows: the answers before and after, one per probe and phase.
        definition: the set of metrics that fits the probes, see `shared.measures.metrics`.
    """

    edit: Edit
    cases: tuple[Case, ...]
    rows: tuple[ProbeRow, ...]
    definition: str

    @property
    def probes(self) -> pd.DataFrame:
        """Probability of each asked object before and after, the geometric mean over its tokens.

        One line per probe and object; columns case_id, kind, prompt, target, before, after.
        """
        lines: dict[tuple, dict[str, Any]] = {}
        for row in self.rows:
            asked = [(row.target_new, row.logprobs_new), (row.target_true, row.logprobs_true)]
            for target, log_probs in asked:
                if log_probs:
                    named = {"case_id": row.case_id, "kind": row.kind, "prompt": row.prompt, "target": target}
                    line = lines.setdefault((*row.key, target), named)
                    line[PHASES[row.phase]] = math.exp(sum(log_probs) / len(log_probs))
        return pd.DataFrame(lines.values())

    @property
    def metrics(self) -> pd.DataFrame:
        """Means over the facts in natural units: one line per metric; columns before, after."""
        found = summarise(measure(self.rows, self.definition), self.definition)
        found = found[found["n"] > 0].assign(phase=found["phase"].map(PHASES))
        table = found.pivot(index="metric", columns="phase", values="mean")
        return table.loc[found["metric"].unique(), list(PHASES.values())].rename_axis(columns=None)


@dataclass(frozen=True)
class _Made:
    """An edit that exists already, in the role of a method."""

    name: str
    made: Edit

    def edit(self, lm: LM, requests: Sequence[object]) -> Edit:
        return self.made

    def edit_each(self, lm: LM, requests: Sequence[object]) -> list[Edit]:
        return [self.made] * len(requests)


class ModelEditor:
    """A model whose facts are edited by one method; edits add up until they are undone.

    Args:
        model: folder or hub id of a decoder, or a loaded one.
        method: a name of `shared.editing.catalogue`.
        moments: second moments of the model's keys, for methods that take them: a file, or loaded. If absent, those
            that the workflow made beside the model, or `corpus` is read.
        corpus: text file, one document per line, that moments are collected from now.
        documents: how many of its documents; all if absent.
        pool: cases that a method may take examples from (IKE's demonstrations, what T-Patcher remembers).
        device: where a model that is loaded here goes.
        settings: of the method, on top of those that its room holds for the model.

    Raises:
        ConfigError: an unknown method or setting, or an input that the method needs and nobody gave.
        ModelError, DataError: the model or a file cannot be used.
    """

    def __init__(
        self,
        model: str | Path | LM,
        method: str,
        *,
        moments: str | Path | SecondMoments | None = None,
        corpus: str | Path | None = None,
        documents: int | None = None,
        pool: Sequence[Case] = (),
        device: str = "cpu",
        **settings: Any,
    ):
        entry = find_method(method)
        self.lm = model if isinstance(model, LM) else load_lm(model, device=device)
        self.method, self.paper = method, entry.paper
        chosen = {**entry.settings(self.lm.name), **settings}
        entry.require_layers(chosen, self.lm.name)
        takes = takes_of(method)
        if "pool" in takes:
            chosen["pool"] = pool
        if "moments" in takes:
            chosen["moments"] = moments or find_moments(self.lm.name) or self._collected(corpus, documents, chosen)
        self._editor = make_editor(method, **chosen)
        self._edits: list[tuple[Edit, ExitStack]] = []

    def _collected(
        self, corpus: str | Path | None, documents: int | None, settings: Mapping[str, Any]
    ) -> SecondMoments | None:
        if corpus is None or "layers" not in settings:
            return None
        return collect(self.lm, corpus, settings["layers"], max_documents=documents)

    @property
    def edits(self) -> list[Edit]:
        """The edits that the model carries, in the order in which they were made."""
        return [edit for edit, _ in self._edits]

    @property
    def context(self) -> str:
        """What stands before every prompt, where the method edits by context."""
        return "".join(edit.context for edit in self.edits)

    def edit(self, *facts: Mapping[str, Any] | Case) -> Outcome:
        """Make all `facts` hold together in the model as it is now, and say what changed.

        Args:
            facts: cases, or mappings with the fields of `shared.data.requests.read_requests`: subject, prompt with
                `{}`, target_new; target_true, paraphrase_prompts, neighborhood_prompts, … are asked about if they are
                there.

        Raises:
            DataError: a fact cannot be edited; the message names its place and field.
            ConfigError: the model carries an edit by context or memory already, which a second one would not see.
        """
        if not facts:
            raise DataError("no fact to edit: give at least one with subject, prompt and target_new")
        beside = [edit.kind for edit in self.edits if edit.context or edit.router]
        if beside:
            raise ConfigError(
                f"the model carries an edit by {beside[0]}: undo it, or hand over all facts of {self.method} in one "
                "call"
            )
        cases = tuple(
            fact if isinstance(fact, Case) else own_case(fact, place, f"fact {place}")
            for place, fact in enumerate(facts)
        )
        edit = self._editor.edit(self.lm, [case.request for case in cases])
        # Only with a true object can the two be compared, as CounterFact does.
        protocol = "counterfact" if all(case.request.target_true for case in cases) else "zsre"
        asked = EvaluationOptions(protocol)
        rows = tuple(evaluate_batch(self.lm, _Made(self.method, edit), cases, asked, len(cases)))
        self._carry(edit)
        return Outcome(edit, cases, rows, DEFINITIONS[protocol])

    def _carry(self, edit: Edit) -> None:
        stack = ExitStack()
        stack.enter_context(applied(self.lm, edit))
        self._edits.append((edit, stack))

    def undo(self, count: int = 1) -> None:
        """Take back the last `count` edits; every bit of the weights is as before them."""
        if count > len(self._edits):
            raise ConfigError(f"{count} edits to undo, the model carries {len(self._edits)}")
        for _ in range(count):
            self._edits.pop()[1].close()

    def remove(self, index: int) -> None:
        """Take back one edit among others, numbered from 0; those made after it are added to the weights again."""
        edits = self.edits
        if not 0 <= index < len(edits):
            raise ConfigError(f"edit {index} does not exist: the model carries {len(edits)}, numbered from 0")
        self.undo(len(edits) - index)
        for edit in edits[index + 1 :]:
            self._carry(edit)

    def _answering(self, prompt: str) -> tuple[LM, str]:
        """Return the model that answers a prompt, and what stands before it: of several memories, the last counts."""
        for edit in reversed(self.edits):
            found = [None] if edit.router is None else edit.router.texts([prompt])
            if found[0] is not None:
                return edit.router.answering, found[0]
        return self.lm, self.context

    def probabilities(self, prompt: str, *targets: str) -> dict[str, float]:
        """Return the probability of each target after a prompt, the geometric mean over its tokens."""
        lm, before = self._answering(prompt)
        ids = encode(lm, before + prompt)
        found = score_targets(lm, [ids] * len(targets), [target_ids(lm, target) for target in targets])
        return {target: score.probability for target, score in zip(targets, found, strict=True)}

    def complete(self, prompt: str, length: int = 20, *, top_k: int = TOP_K, seed: int = 0) -> str:
        """Return the prompt and `length` more tokens, sampled from the `top_k` best; 1 is greedy."""
        lm, text = self._answering(prompt)
        ids = encode(lm, text + prompt)
        before = len(ids) - len(encode(lm, prompt))
        most = min(len(ids) + length, lm.arch.n_positions)
        found = generate(lm, [ids], max_length=most, seeds=[seed_for("complete", seed, prompt)], top_k=top_k)[0]
        return lm.tokenizer.decode(found[before:]).removeprefix(" " if before else "")

    def save(self, folder: str | Path) -> None:
        """Write the edits that the model carries, one file each, in place of any that the folder held."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / FILE.format(place) for place in range(len(self._edits))]
        for edit, file in zip(self.edits, files, strict=True):
            save_edit(edit, file)
        for old in set(folder.glob(FILES)) - set(files):
            old.unlink()

    def load(self, folder: str | Path) -> None:
        """Add the edits that `save` wrote.

        Raises:
            DataError: there are none, or one cannot be read.
        """
        files = sorted(Path(folder).glob(FILES))
        if not files:
            raise DataError(f"{folder}: holds no edits; expected files such as {FILE.format(0)}")
        for file in files:
            self._carry(load_edit(file, self.lm))

    def save_adapter(self, folder: str | Path) -> None:
        """Write all edits as one LoRA adapter, which peft loads on the unedited model.

        Raises:
            ConfigError: an edit is no change of weights.
            ModelError: one changes a bias.
        """
        self._require_weights(folder)
        save_lora(self.lm, merge(self.edits), Path(folder))

    def save_model(self, folder: str | Path) -> None:
        """Write the edited model and its tokenizer, for `from_pretrained`.

        Raises:
            ConfigError: an edit is no change of weights.
        """
        self._require_weights(folder)
        self.lm.model.save_pretrained(folder)
        self.lm.tokenizer.save_pretrained(folder)

    def _require_weights(self, folder: str | Path) -> None:
        kinds = {edit.kind for edit in self.edits} - {"weights"}
        if kinds:
            raise ConfigError(f"{folder}: an edit of kind {', '.join(kinds)} is not in the weights; use `save`")

    def __enter__(self) -> "ModelEditor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo(len(self._edits))
