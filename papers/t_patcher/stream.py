"""Sequential model editing: independent streams of mistakes, mended side by side, one edit of each at a time (§3).

After every round of edits its patches are written as one file, so that a killed run goes on with the next round and the
same patches: the value's start depends on the example, and nothing else is drawn.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from papers.t_patcher.inner_layer import InnerLayer
from papers.t_patcher.memory import Inputs, Keeper, RememberedInputs, RememberedPredictions
from papers.t_patcher.patches import Patches
from papers.t_patcher.problem import Problem
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.training import Fitted, Mistake, fit
from shared.errors import ConfigError, DataError
from shared.inference.last_layer import States

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Edit:
    """One mended mistake, as it stood right after its own edit.

    Attributes:
        example: number of the edit example.
        right: whether the patched model is right on it (SR).
        rephrases, rephrases_right: wordings of it, and those answered right (GR).
        patches: neurons added.
        steps: updates of their training.
        active: wordings at which all of the mistake's own patches are active.
        apart: wordings that lie, along the mistake's own inputs, beyond everything that is remembered.
        alignment: mean cosine of the patches' keys with the inputs that they began as.
    """

    example: int
    right: bool
    rephrases: int
    rephrases_right: int
    patches: int
    steps: int
    active: int = 0
    apart: int = 0
    alignment: float = 0.0


@dataclass
class Stream:
    """One stream: what is still to come, what was mended, and the current patches."""

    order: list[int]
    patches: Patches
    edits: list[Edit] = field(default_factory=list)
    position: int = 0


class Editing:
    """The streams of one experiment with the patches' settings.

    Args:
        problem: model and examples.
        orders: per stream, edit examples in the order in which they are met.
        settings: of the patches.
        seed: of the values' starts.
        folder: where each round's patches are written; None keeps nothing.

    Raises:
        DataError: the folder holds rounds of another experiment.
    """

    def __init__(
        self,
        problem: Problem,
        orders: Sequence[Sequence[int]],
        settings: PatchSettings,
        seed: int = 0,
        folder: Path | None = None,
    ):
        self.problem, self.settings, self.seed, self.folder = problem, settings, seed, folder
        none = Patches.none(problem.memory.shape[1], problem.memory.device)
        self.streams = [Stream(list(order), none) for order in orders]
        self.rounds = 0
        self._remembered = Inputs(problem.memory), Inputs(problem.validation)
        counts = torch.bincount(problem.edit.row, minlength=problem.edit.n_rows)
        self._queries = problem.edit.query.split(counts.tolist())
        self._before = None
        if settings.memory_loss == "kl" and isinstance(problem.layer, InnerLayer):
            raise ConfigError("memory_loss kl is for patches in the last layer")
        if settings.memory_loss == "kl":
            self._kept = problem.remembered.of_rows(range(min(settings.kl_samples, problem.remembered.n_rows)))
            with torch.no_grad():
                self._before = problem.layer.logits(self._kept.summed)
        if folder is not None:
            self._resume(folder)

    def current(self, stream: Stream, states: States) -> Tensor:
        """Return the sums of a stream's patched model at some states."""
        return stream.patches.patched(states.query, states.summed, self.problem.layer.activation)

    def run(self) -> Iterator[int]:
        """Mend one mistake of every unfinished stream at a time, and yield the number of rounds made.

        Cost: one training per round (`fit`), beside which looking for the next mistake is nothing.
        """
        while found := self._next_mistakes():
            numbers, mistakes = zip(*found, strict=True)
            with torch.no_grad():
                keeper = self._keeper(numbers)
            fitted = fit(self.problem.layer, mistakes, keeper, self.settings, self.seed)
            made = {}
            for number, mistake, one in zip(numbers, mistakes, fitted, strict=True):
                made[number] = self._commit(self.streams[number], mistake, one)
            self.rounds += 1
            self._write(dict(zip(numbers, fitted, strict=True)), made)
            yield self.rounds

    @torch.no_grad()
    def _next_mistakes(self) -> list[tuple[int, Mistake]]:
        found = []
        for number, stream in enumerate(self.streams):
            mistake = None
            while mistake is None and stream.position < len(stream.order):
                mistake = self._mistake(stream, stream.order[stream.position])
                stream.position += 1
            if mistake is not None:
                found.append((number, mistake))
        return found

    def _mistake(self, stream: Stream, example: int) -> Mistake | None:
        """Return what is wrong about an example under a stream's current model, or None if it is right."""
        states = self.problem.edit.of_rows([example])
        summed = self.current(stream, states)
        wrong = (self.problem.layer.predicted(states, summed) != states.label).nonzero()[:, 0].tolist()
        if not wrong:
            return None
        chosen = tuple(wrong[: self.settings.max_patches])
        return Mistake(example, states.query, summed, states.label, chosen, states.rows[0])

    def _keeper(self, numbers: Sequence[int]) -> Keeper | None:
        problem, settings = self.problem, self.settings
        if settings.memory_loss == "none":
            return None
        streams = [self.streams[number] for number in numbers]
        mended = [[edit.example for edit in stream.edits] for stream in streams]
        if settings.memory_loss == "kl":
            sums = torch.stack([self.current(stream, self._kept) for stream in streams])
            return RememberedPredictions(problem.layer, self._kept.query, self._before, sums)
        none = problem.memory[:0]
        past = tuple(torch.cat([none, *(self._queries[example] for example in examples)]) for examples in mended)
        return RememberedInputs(*self._remembered, past, settings.remembered_loss(), settings.repeat)

    @torch.no_grad()
    def _commit(self, stream: Stream, mistake: Mistake, fitted: Fitted) -> Edit:
        stream.patches = stream.patches.added([fitted.patches])
        example = mistake.example_id
        rows = self.problem.rephrases_of[example]
        rephrased = active = apart = 0
        own_key, own_query = fitted.patches.key, mistake.query[list(mistake.wrong)]
        if rows:
            states = self.problem.rephrased.of_rows(rows)
            rephrased = int(self.problem.layer.right(states, self.current(stream, states)).sum())
            # Wordings have the mistake's answer, and so a position for each of its wrong tokens.
            asked = states.query.unflatten(0, (len(rows), -1))[:, list(mistake.wrong)]
            active = int(((asked * own_key).sum(-1) + fitted.patches.bias > 0).all(-1).sum())
            apart = int(((asked * own_query).sum(-1) > (self.problem.memory @ own_query.T).amax(0)).all(-1).sum())
        own = self.problem.edit.of_rows([example])
        right = bool(self.problem.layer.right(own, self.current(stream, own)))
        counts = (len(rows), rephrased, len(fitted.patches), fitted.steps, active, apart)
        edit = Edit(example, right, *counts, float(torch.cosine_similarity(own_key, own_query).mean()))
        stream.edits.append(edit)
        return edit

    @torch.no_grad()
    def retained(self, stream: Stream) -> dict[str, float]:
        """Return ER, and accuracies on what shall be answered as before, of a stream's current model."""
        problem = self.problem
        mended = problem.edit.of_rows([edit.example for edit in stream.edits])
        shares = problem.sets | ({"edited": mended} if stream.edits else {})
        return {name: problem.accuracy(states, self.current(stream, states)) for name, states in shares.items()}

    # Rounds on disk.

    @cached_property
    def _digest(self) -> str:
        """What an experiment's rounds depend on: model, examples, order, settings, seed."""
        problem = self.problem
        told = {"orders": [stream.order for stream in self.streams], "seed": self.seed, **asdict(self.settings)}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        for tensor in (problem.edit.query, problem.edit.summed, problem.edit.label, problem.memory, problem.validation):
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _write(self, fitted: dict[int, Fitted], made: dict[int, Edit]) -> None:
        if self.folder is None:
            return
        numbers = list(fitted)
        joined = fitted[numbers[0]].patches.added([fitted[number].patches for number in numbers[1:]])
        info = {
            "experiment": self._digest,
            "edits": json.dumps({str(number): asdict(edit) for number, edit in made.items()}),
            "positions": json.dumps([stream.position for stream in self.streams]),
        }
        joined.save(self.folder / f"round_{self.rounds:05d}.safetensors", **info)

    def _resume(self, folder: Path) -> None:
        experiment = self._digest
        for path in sorted(folder.glob("round_*.safetensors")):
            patches, info = Patches.load(path)
            if info.get("experiment") != experiment:
                raise DataError(
                    f"{path} belongs to another experiment (other model, examples, order or settings); "
                    f"delete {folder} to begin anew"
                )
            first = 0
            for number, told in json.loads(info["edits"]).items():
                stream, edit = self.streams[int(number)], Edit(**told)
                last = first + edit.patches
                own = Patches(
                    patches.key[first:last],
                    patches.bias[first:last],
                    patches.value[first:last],
                    patches.owner[first:last],
                )
                stream.patches = stream.patches.added([own])
                stream.edits.append(edit)
                first = last
            for stream, position in zip(self.streams, json.loads(info["positions"]), strict=True):
                stream.position = position
            self.rounds += 1
        if self.rounds:
            log.info("going on after round %d in %s", self.rounds, folder)
