"""The written-down gradient of the memory loss against a traced one."""

import pytest
import torch

from papers.t_patcher.losses import MemoryLoss, Penalty
from papers.t_patcher.memory import Inputs, Neurons, RememberedInputs

D_MODEL, REPEAT = 6, 4


def neurons_of(generator, patches):
    """Return neurons of two lines, the second with one neuron less where there are several."""
    key, value = torch.randn(2, 2, patches, D_MODEL, generator=generator)
    bias, own = torch.randn(2, 2, patches, generator=generator)
    present = torch.ones(2, patches, dtype=torch.bool)
    present[1, 1:] = False
    return Neurons(key.requires_grad_(), bias.requires_grad_(), value, own.requires_grad_(), present, patches == 1)


@pytest.mark.parametrize("patches", [1, 3])
@pytest.mark.parametrize("second", [None, Penalty(top=10)])
@pytest.mark.parametrize("past", [(0, 0), (2, 5)])
def test_gradients_are_those_of_the_traced_loss(patches, second, past):
    generator = torch.Generator().manual_seed(patches)
    base = Inputs(torch.randn(30, D_MODEL, generator=generator))
    mended = tuple(torch.randn(count, D_MODEL, generator=generator) for count in past)
    loss = MemoryLoss(Penalty(top=10), second, (1.0, -2.0))
    keeper = RememberedInputs(base, base, mended, loss, REPEAT)
    neurons = neurons_of(generator, patches)
    weights = torch.tensor([1.0, 3.0])
    inputs = (neurons.key, neurons.bias, neurons.own)
    found = keeper.loss(neurons, validation=False)
    gradients = torch.autograd.grad((found * weights).sum(), inputs)
    responses = keeper.responses(base, neurons.key) + neurons.bias[:, None]
    traced = loss(responses, neurons.own, keeper.exists(base, neurons), REPEAT)
    torch.testing.assert_close(found, traced)
    expected = torch.autograd.grad((traced * weights).sum(), inputs)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
