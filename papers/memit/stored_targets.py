"""z vectors on disk: searched for once per model, layer and settings, and used by every set of requests and every λ.

A z depends on the unedited model and on nothing that happens to other requests, so all sizes of a scaling curve, all
weights λ and all sets of layers that end at the same layer share them. A file says what it was made from, and is
refused for anything else; each vector is found by the digest of its requests' subjects, prompts and new objects, so
that a request has the same z in whatever set and under whatever number it comes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from safetensors import SafetensorError, safe_open

from papers.memit.hyperparams import MemitHyperparams
from papers.memit.targets import Target, Wanted
from shared.errors import DataError
from shared.fit.moments import digests
from shared.model.models import LM
from shared.records import write_tensors

_DIGESTS: WeakKeyDictionary = WeakKeyDictionary()


def made_from(lm: LM, hyperparams: MemitHyperparams, contexts: Sequence[str]) -> dict[str, str]:
    """Return everything that a z depends on besides its requests, as digests and settings.

    Cost: a pass over the model's weights, once per model and process.
    """
    if lm.model not in _DIGESTS:
        _DIGESTS[lm.model] = digests(lm)
    settings = asdict(hyperparams.search()) | {
        name: str(getattr(hyperparams, name)) for name in ("fact_token", "objective", "subject_noise")
    }
    return _DIGESTS[lm.model] | {
        "z_layer": str(hyperparams.z_layer),
        "settings": json.dumps(settings, sort_keys=True, default=float),
        "contexts": hashlib.sha256(json.dumps(list(contexts)).encode()).hexdigest(),
    }


class StoredTargets:
    """z vectors by the requests that they belong to.

    Attributes:
        made_from: what they depend on besides, see the function of this name.
    """

    def __init__(self, source: Mapping[str, str], targets: Mapping[str, Target]):
        self.made_from, self._targets = dict(source), dict(targets)

    @classmethod
    def of(cls, source: Mapping[str, str], wanted: Sequence[Wanted], targets: Sequence[Target]) -> "StoredTargets":
        """Return the store of freshly found vectors."""
        return cls(source, {one.digest: target for one, target in zip(wanted, targets, strict=True)})

    def __len__(self) -> int:
        return len(self._targets)

    def find(self, wanted: Wanted) -> Target:
        """Return the z of some requests.

        Raises:
            DataError: none is stored for their subjects, prompts and new objects.
        """
        if wanted.digest not in self._targets:
            request = wanted.requests[0]
            raise DataError(
                f"case_id {wanted.name}: none of the {len(self)} stored z vectors belongs to subject "
                f"{request.subject!r}, prompt {request.prompt!r} and target_new {request.target_new!r}; search for it "
                "with python -m papers.memit.search, or give the editor no `targets`"
            )
        return self._targets[wanted.digest]

    def require(self, expected: Mapping[str, str]) -> None:
        """Check that the vectors were made with this model, these settings and these contexts.

        Raises:
            DataError: naming what differs.
        """
        for name, value in expected.items():
            if self.made_from.get(name) != value:
                raise DataError(
                    f"the stored z vectors were made from {name} {self.made_from.get(name)}, this run has {value}; "
                    "search again with python -m papers.memit.search"
                )

    def save(self, path: str | Path) -> None:
        """Write all vectors to one safetensors file, whole or not at all."""
        found = list(self._targets.values())
        tensors = {
            "value": torch.stack([target.value for target in found]),
            "initial": torch.stack([target.initial for target in found]),
            "n_forward": torch.tensor([target.n_forward for target in found]),
            "loss": torch.tensor([target.loss for target in found], dtype=torch.float64),
        }
        texts = {"made_from": json.dumps(self.made_from), "requests": json.dumps(list(self._targets))}
        write_tensors(path, tensors, texts)

    @classmethod
    def load(cls, paths: Sequence[str | Path]) -> "StoredTargets":
        """Read one file or the shards of one search.

        Raises:
            DataError: a file is unreadable, or files were made from different things.
        """
        whole: StoredTargets | None = None
        for path in paths:
            part = cls._load(Path(path))
            if whole is None:
                whole = part
                continue
            whole.require(part.made_from)
            whole._targets |= part._targets
        if whole is None:
            raise DataError("no files of z vectors were given; leave `targets` out to search for them")
        return whole

    @classmethod
    def _load(cls, path: Path) -> "StoredTargets":
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                requests, source = json.loads(metadata["requests"]), json.loads(metadata["made_from"])
                columns = [file.get_tensor(name) for name in ("value", "initial", "n_forward", "loss")]
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise DataError(
                f"{path}: not a file of z vectors ({error}); write it with python -m papers.memit.search"
            ) from error
        targets = {
            request: Target(value, initial, int(n_forward), float(loss))
            for request, value, initial, n_forward, loss in zip(requests, *columns, strict=True)
        }
        return cls(source, targets)
