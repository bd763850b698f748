"""Training patches: many mistakes of independent streams as one batch, from cached states.

Each line has its own Adam step, clipped gradient, rate and end; a line that has ended leaves the batch. No line depends
on which others stand beside it, but for rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from papers.t_patcher.losses import Penalty, activation_loss, answer_loss, verdict_loss
from papers.t_patcher.memory import Keeper, Neurons
from papers.t_patcher.patches import Patches
from papers.t_patcher.settings import PatchSettings
from shared.errors import NumericalError
from shared.inference.last_layer import LastLayer
from shared.inference.text_batches import TextRow
from shared.seeding import seed_for

BETAS, EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Mistake:
    """An answer that the current model gets wrong, at all positions that the answer is read at.

    Attributes:
        example_id: which example; it enters the seed of the value's start.
        query, summed, label: as in `States`; `summed` of the current model, with all patches so far.
        wrong: positions that get a patch.
        row: its token ids.
    """

    example_id: int
    query: Float[Tensor, "pos d_model"]
    summed: Float[Tensor, "pos d_model"]
    label: Int[Tensor, " pos"]
    wrong: tuple[int, ...]
    row: TextRow


@dataclass(frozen=True)
class Fitted:
    """A trained patch.

    Attributes:
        patches: its neurons.
        right: whether the answer was right at the last look.
        steps: updates made.
        memory_loss: of the validation memory at the last look; 0 without one.
    """

    patches: Patches
    right: bool
    steps: int
    memory_loss: float


def initial(mistake: Mistake, settings: PatchSettings, seed: int) -> Float[Tensor, " parameter"]:
    """Return key q/‖q‖², bias 0, value u ~ N(0, 1) and its factor, flattened; the pre-activation starts at 1."""
    query = mistake.query[list(mistake.wrong)]
    generator = torch.Generator().manual_seed(seed_for("t_patcher", "value", seed, mistake.example_id))
    value = torch.randn(query.shape, generator=generator).to(query)
    key = query / query.norm(dim=-1, keepdim=True) ** 2
    return pack(key, query.new_zeros(len(query)), value, torch.full_like(value, settings.amplification))


def pack(key: Tensor, bias: Tensor, value: Tensor, factor: Tensor) -> Float[Tensor, " parameter"]:
    """Return the four parameters of a patch, neuron by neuron, as one vector."""
    return torch.cat([key, bias[:, None], value, factor], 1).flatten()


class Lines:
    """Mistakes as one padded batch."""

    def __init__(self, mistakes: Sequence[Mistake]):
        self.mistakes = list(mistakes)
        first = mistakes[0].query
        self.d_model = first.shape[1]
        self.most = max(len(mistake.wrong) for mistake in mistakes)
        width = max(len(mistake.label) for mistake in mistakes)
        count = len(mistakes)
        self.query, self.summed = (first.new_zeros(count, width, self.d_model) for _ in range(2))
        self.label = torch.zeros(count, width, dtype=torch.long, device=first.device)
        self.asked = torch.zeros(count, width, dtype=torch.bool, device=first.device)
        self.place = torch.zeros(count, 1, self.most, dtype=torch.long, device=first.device)
        self.present = torch.zeros(count, self.most, dtype=torch.bool, device=first.device)
        for line, mistake in enumerate(mistakes):
            length, patches = len(mistake.label), len(mistake.wrong)
            self.query[line, :length], self.summed[line, :length] = mistake.query, mistake.summed
            self.label[line, :length], self.asked[line, :length] = mistake.label, True
            self.place[line, 0, :patches] = torch.tensor(mistake.wrong, device=first.device)
            self.present[line, :patches] = True
        self.complete = all(len(mistake.wrong) == self.most for mistake in mistakes)

    def parameters(self, starts: Sequence[Tensor]) -> Float[Tensor, "line parameter"]:
        """Return the lines' parameters as rows, zeros where a line has fewer neurons than the longest."""
        rows = self.query.new_zeros(len(starts), self.most * (3 * self.d_model + 1))
        for line, start in enumerate(starts):
            rows[line, : len(start)] = start
        return rows

    def split(self, parameters: Float[Tensor, "line parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return key, bias and value (u times its factor) of every neuron."""
        d_model = self.d_model
        rows = parameters.unflatten(1, (self.most, 3 * d_model + 1))
        key, bias, value, factor = rows.split([d_model, 1, d_model, d_model], dim=-1)
        return key, bias[..., 0], value * factor

    def run(self, layer: LastLayer, parameters: Float[Tensor, "line parameter"]) -> tuple[Neurons, Tensor]:
        """Return the neurons and the patched model's predictions at all positions of the answers."""
        key, bias, value = self.split(parameters)
        response = torch.baddbmm(bias[:, None], self.query, key.mT)
        active = layer.activation(response)
        written = torch.bmm(active if self.complete else active * self.present[:, None], value)
        own = response.gather(1, self.place)[:, 0]
        rows = [mistake.row for mistake in self.mistakes]
        return Neurons(key, bias, value, own, self.present, self.complete), layer.answers(self.summed + written, rows)

    def right(self, logits: Float[Tensor, "line pos out"], binary: bool) -> Bool[Tensor, " line"]:
        """Return whether each line's whole answer is what is most probable."""
        found = (logits[..., 0] > 0).long() if binary else logits.argmax(-1)
        return ((found == self.label) | ~self.asked).all(-1)


class Objective:
    """The losses of a batch of lines."""

    def __init__(self, layer: LastLayer, lines: Lines, keeper: Keeper | None, settings: PatchSettings):
        self.layer, self.lines, self.keeper, self.settings = layer, lines, keeper, settings
        self._activation = Penalty(top=settings.activation_top)

    def answer(self, logits: Float[Tensor, "line pos out"]) -> Float[Tensor, " line"]:
        """Return l_e."""
        label, asked = self.lines.label, self.lines.asked
        if self.layer.binary:
            return verdict_loss(logits, label, asked, self.settings.bonus)
        return answer_loss(logits, label, asked, self.settings.smoothing)

    def terms(self, parameters: Float[Tensor, "line parameter"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return total, l_e, l_a and l_m per line (Eq. 10)."""
        settings = self.settings
        neurons, logits = self.lines.run(self.layer, parameters)
        answer = self.answer(logits)
        active = activation_loss(neurons.own, neurons.present, self._activation, settings.repeat)
        kept = torch.zeros_like(answer) if self.keeper is None else self.keeper.loss(neurons, validation=False)
        return answer + settings.activation_weight * active + settings.memory_weight * kept, answer, active, kept

    @torch.no_grad()
    def look(self, parameters: Float[Tensor, "line parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return l_e, l_m on the validation memory, and whether the answer is right, per line."""
        neurons, logits = self.lines.run(self.layer, parameters)
        answer = self.answer(logits)
        kept = torch.zeros_like(answer) if self.keeper is None else self.keeper.loss(neurons, validation=True)
        return answer, kept, self.lines.right(logits, self.layer.binary)

    def select(self, lines: Sequence[int]) -> "Objective":
        """Return the losses of some of the lines."""
        keeper = None if self.keeper is None else self.keeper.select(lines)
        return Objective(self.layer, Lines([self.lines.mistakes[line] for line in lines]), keeper, self.settings)


class Descent:
    """Adam with the L2 term in the gradient, its own clipping and its own rate for each line."""

    def __init__(self, parameters: Float[Tensor, "line parameter"], settings: PatchSettings):
        self.parameters = parameters.clone().requires_grad_(True)
        self.settings = settings
        self.mean, self.square = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self.rate = torch.full((len(parameters), 1), float(settings.lr), device=parameters.device)
        self.steps = 0

    def step(self, loss: Float[Tensor, " line"]) -> Float[Tensor, " line"]:
        """Make one update and return the gradients' norms before clipping."""
        (gradient,) = torch.autograd.grad(loss, self.parameters, torch.ones_like(loss))
        norm = gradient.norm(dim=1, keepdim=True)
        self.steps += 1
        with torch.no_grad():
            clipped = gradient * (self.settings.clip / (norm + 1e-6)).clamp(max=1)
            clipped.add_(self.parameters, alpha=self.settings.weight_decay)
            self.mean.lerp_(clipped, 1 - BETAS[0])
            self.square.mul_(BETAS[1]).addcmul_(clipped, clipped, value=1 - BETAS[1])
            root = self.square.sqrt().mul_((1 - BETAS[1] ** self.steps) ** -0.5).add_(EPSILON)
            self.parameters.addcmul_(self.mean / root, self.rate, value=-1 / (1 - BETAS[0] ** self.steps))
        return norm[:, 0]

    def select(self, lines: Sequence[int], width: int) -> None:
        """Keep some lines, and of their parameters the first `width`."""
        kept = list(lines)
        self.parameters = self.parameters.detach()[kept, :width].clone().requires_grad_(True)
        self.mean, self.square = self.mean[kept, :width].clone(), self.square[kept, :width].clone()
        self.rate = self.rate[kept]


@dataclass
class _Progress:
    """What decides about one line's rate and end."""

    best: float = float("inf")
    waited: int = 0
    best_look: int = 0
    looks: int = 0
    best_kept: float = float("inf")

    def shrinks(self, loss: float, settings: PatchSettings) -> bool:
        """Note a loss and return whether the rate shrinks now (ReduceLROnPlateau, relative threshold)."""
        if loss < self.best * (1 - settings.lr_threshold):
            self.best, self.waited = loss, 0
            return False
        self.waited += 1
        if self.waited <= settings.lr_patience:
            return False
        self.waited = 0
        return True

    def ends(self, kept: float, settings: PatchSettings) -> bool:
        """Note a look with a right answer and return whether training ends."""
        if self.looks == 0 or kept < self.best_kept - settings.improvement:
            self.best_look, self.best_kept = self.looks, kept
        self.looks += 1
        return self.best_look < self.looks - settings.patience


def fit(
    layer: LastLayer,
    mistakes: Sequence[Mistake],
    keeper: Keeper | None,
    settings: PatchSettings,
    seed: int = 0,
) -> list[Fitted]:
    """Train a patch for each mistake, each in its own stream (§4.2; `joint_training` in the authors' code).

    Args:
        keeper: memory loss with one line per mistake; None trains without, and ends at the first right answer seen.
        seed: of the values' start, with the example's id.

    Raises:
        NumericalError: a loss is not finite.

    Cost: per update the memory loss of `keeper`, and the head on the answers' positions, forward and backward.
    """
    if not mistakes:
        return []
    lines = Lines(mistakes)
    objective = Objective(layer, lines, keeper, settings)
    descent = Descent(lines.parameters([initial(mistake, settings, seed) for mistake in mistakes]), settings)
    progress = [_Progress() for _ in mistakes]
    running, results = list(range(len(mistakes))), {}
    while running:
        loss = objective.terms(descent.parameters)[0]
        descent.step(loss)
        if descent.steps % settings.check_every and descent.steps < settings.max_steps:
            continue
        answer, kept, right = (column.tolist() for column in objective.look(descent.parameters))
        ended = []
        for place, index in enumerate(running):
            if not abs(answer[place]) < float("inf"):
                raise NumericalError(f"patch of example {mistakes[index].example_id}: its loss is {answer[place]}")
            if progress[index].shrinks(answer[place], settings):
                descent.rate[place] *= settings.lr_factor
            stops = descent.steps > settings.first_check and right[place]
            if stops and keeper is not None:
                stops = progress[index].ends(kept[place], settings)
            if stops or descent.steps >= settings.max_steps:
                ended.append(place)
                patches = _committed(objective.lines, descent.parameters, place)
                results[index] = Fitted(patches, right[place], descent.steps, kept[place])
        if ended:
            staying = [place for place in range(len(running)) if place not in ended]
            running = [running[place] for place in staying]
            if running:
                objective = objective.select(staying)
                descent.select(staying, objective.lines.most * (3 * lines.d_model + 1))
    return [results[index] for index in range(len(mistakes))]


@torch.no_grad()
def _committed(lines: Lines, parameters: Float[Tensor, "line parameter"], place: int) -> Patches:
    key, bias, value = (part.detach()[place] for part in lines.split(parameters))
    mistake = lines.mistakes[place]
    count = len(mistake.wrong)
    return Patches(key[:count].clone(), bias[:count].clone(), value[:count].clone(), (mistake.example_id,) * count)
