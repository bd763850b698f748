"""One patch the way it is released: whole passes over copies of the mistake, and the cube of all differences."""

import torch
from torch import Tensor

from papers.t_patcher.patches import Patches
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.training import Fitted, Mistake, initial
from shared.edits.added_neurons import AddedNeurons
from shared.edits.deltas import Edit, applied
from shared.inference.last_layer import LastLayer
from shared.inference.text_batches import IGNORED, TextRow, collate, predictions
from shared.model.hooks import capture


def largest(values: Tensor, top: int) -> Tensor:
    """Return the mean of the `top` largest exponentials of all values."""
    flat = values.flatten().exp()
    return flat.topk(min(top, len(flat))).values.mean()


class SlowPatch:
    """A patch in training inside the whole model."""

    def __init__(self, layer: LastLayer, row: TextRow, mistake: Mistake, before: Patches, settings: PatchSettings):
        self.layer, self.mistake, self.before, self.settings = layer, mistake, before, settings
        self.batch = collate(layer.lm, [row] * settings.repeat)
        width, patches = 3 * mistake.query.shape[1] + 1, len(mistake.wrong)
        start = initial(mistake, settings, seed=0).reshape(patches, width)
        sizes = [mistake.query.shape[1], 1, mistake.query.shape[1], mistake.query.shape[1]]
        self.parameters = [part.clone().requires_grad_(True) for part in start.split(sizes, dim=1)]

    def patches(self) -> Patches:
        """Return the patch as it is now."""
        key, bias, value, factor = self.parameters
        owner = (self.mistake.example_id,) * len(key)
        return Patches(key, bias[:, 0], value * factor, owner)

    def losses(self, memory: Tensor) -> tuple[Tensor, Tensor, Tensor, bool]:
        """Return l_e, l_a, l_m and whether the answer is right, from a pass over all copies."""
        settings, layer = self.settings, self.layer
        now = self.before.added([self.patches()])
        edit = Edit((), kind="neurons", neurons=(_unchecked(layer, now),))
        with applied(layer.lm, edit), capture({"query": layer.up}, inputs=True) as seen:
            logits = predictions(layer.lm, self.batch)
        asked = self.batch.labels != IGNORED
        label = self.batch.labels.clamp(min=0)
        log_probs = logits.log_softmax(-1)
        nll = -log_probs.gather(-1, label[..., None])[..., 0]
        share = settings.smoothing / (logits.shape[-1] - 1)
        smooth = (1 - settings.smoothing - share) * nll - share * log_probs.sum(-1)
        answer = (smooth * asked).sum() / asked.sum()
        places = asked[0].nonzero()[:, 0][list(self.mistake.wrong)]
        key, bias = self.parameters[0], self.parameters[1][:, 0]
        own = (seen["query"][:, places] * key).sum(-1) + bias  # (copy, patch)
        response = memory @ key.T + bias
        cube = response[:, None].expand(-1, settings.repeat, -1)  # (memory, copy, patch)
        kept = largest(cube - own + settings.margins[0], settings.memory_top)
        kept = kept + largest(cube - settings.margins[1], settings.memory_top)
        right = bool(((logits.argmax(-1) == label) | ~asked).all())
        return answer, largest(-own, settings.activation_top), kept, right


def _unchecked(layer: LastLayer, patches: Patches) -> AddedNeurons:
    return layer.neurons(patches.key, patches.bias, patches.value)


def fit_slowly(
    layer: LastLayer,
    row: TextRow,
    mistake: Mistake,
    before: Patches,
    memory: list[Tensor],
    validation: list[Tensor],
    settings: PatchSettings,
) -> Fitted:
    """Train one patch with the released loop: a list of remembered rows, torch's Adam, clipping and plateau rule."""
    slow = SlowPatch(layer, row, mistake, before, settings)
    adam = torch.optim.Adam(slow.parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        adam, factor=settings.lr_factor, patience=settings.lr_patience, threshold=settings.lr_threshold
    )
    looks: list[float] = []
    for step in range(1, settings.max_steps + 1):
        answer, active, kept, _ = slow.losses(torch.cat(memory))
        adam.zero_grad()
        (answer + settings.activation_weight * active + settings.memory_weight * kept).backward()
        torch.nn.utils.clip_grad_norm_(slow.parameters, settings.clip)
        adam.step()
        if step % settings.check_every and step < settings.max_steps:
            continue
        with torch.no_grad():
            answer, _, kept, right = slow.losses(torch.cat(validation))
        plateau.step(float(answer))
        if step > settings.first_check and right:
            looks.append(float(kept))
            best = 0
            for index, value in enumerate(looks):
                if value < looks[best] - settings.improvement:
                    best = index
            if best < len(looks) - settings.patience:
                break
    made = slow.patches()
    parts = (part.detach() for part in (made.key, made.bias, made.value))
    return Fitted(Patches(*parts, made.owner), right, step, float(kept))
