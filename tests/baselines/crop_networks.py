"""What the tests of networks of one crop share: pictures, encodings, and what a hand must be."""

import torch

from hand_baselines.parameters import ENCODING, Parameters


def given(config, count: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return crops, and encodings where the network has KPE."""
    generator = torch.Generator().manual_seed(seed)
    crops = torch.rand(count, 3, config.input_size, config.input_size, generator=generator)
    encoding = torch.rand(count, ENCODING, generator=generator) * 2 - 1
    return crops, encoding if config.kpe else None


def hidden_targets(count: int = 4) -> Parameters:
    """Return random hands."""
    generator = torch.Generator().manual_seed(7)
    rotations, _ = torch.linalg.qr(torch.randn(count, 16, 3, 3, generator=generator))
    rotations = rotations * torch.linalg.det(rotations)[..., None, None]
    betas = torch.randn(count, 10, generator=generator)
    return Parameters(rotations, betas, torch.randn(count, 3, generator=generator))


def distance(output: Parameters, target: Parameters) -> torch.Tensor:
    """Return the sum of the mean squares of the three parts."""
    pairs = zip(output, target, strict=True)
    return torch.stack([(one - other).square().mean() for one, other in pairs]).sum()


def learn(network: torch.nn.Module, steps: int, rate: float) -> list[float]:
    """Return the losses of training on four crops."""
    crops, encoding = given(network.config)
    target, totals = hidden_targets(), []
    optimiser = torch.optim.Adam(network.parameters(), rate)
    for _ in range(steps):
        total = distance(network(crops, encoding), target)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(total.item())
    return totals


def without_gradient(network: torch.nn.Module) -> list[str]:
    """Return the names of parameters that one backward pass does not reach."""
    distance(network(*given(network.config)), hidden_targets()).backward()
    found = network.named_parameters()
    return [n for n, p in found if p.grad is None or not p.grad.abs().sum() > 0]


def shapes(output: Parameters) -> list[tuple[int, ...]]:
    """Return the shapes of the three parts."""
    return [tuple(part.shape) for part in output]


def are_rotations(matrices: torch.Tensor) -> bool:
    """Whether matrices (..., 3, 3) are orthonormal and do not mirror."""
    identity = torch.eye(3).expand(matrices.shape)
    orthonormal = torch.allclose(matrices @ matrices.mT, identity, atol=1e-5)
    return orthonormal and bool((torch.linalg.det(matrices) > 0.999).all())
