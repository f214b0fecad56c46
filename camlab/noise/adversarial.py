"""Adversarial noise: tiny changes along the model's own gradients that flip its prediction.

``fgsm`` is Goodfellow et al. 2015 (arXiv 1412.6572), ``pgd`` is Madry et al. 2018 (arXiv 1706.06083). No
value of a picture moves by more than ε, which is the severity's parameter. The untargeted attacks raise the
loss (cross-entropy) of the class that the model predicts on the clean picture; the targeted ones lower the
loss of the class that the model ranks second there, to which a prediction flips most easily.

Every gradient is that of one picture alone, so that the rest of a batch cannot reach it. Pictures that occur
several times in one call (one picture at many severities) share what does not depend on ε.
"""

import hashlib
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from camlab.common.errors import BadSetting
from camlab.common.torch_state import pinned_torch
from camlab.noise.base import Attackable, Streams, Surroundings, noise_type

STEPS = 10
#: Length of a step of ``pgd`` as a share of ε: ten steps cross the ball of radius ε 1.25 times (Madry et al. use
#: 2.5·ε/steps if the number of steps varies).
STRIDE = 2.5 / STEPS
_attack = partial(
    noise_type,
    family="Adversarial",
    parameters=("ε",),
    levels=tuple((level / 255,) for level in (0, 1, 2, 4, 8, 16)),
    needs="model",
)


@_attack(
    "fgsm",
    title="FGSM",
    summary="Moves every colour value by ε towards a wrong prediction, in one step along the model's gradient.",
    stochastic=False,
)
def fgsm(x: Tensor, parameters: Tensor, streams: Streams, around: Surroundings) -> Tensor:
    """Return x + ε·sign(∇ₓ loss of the class predicted on x) (arXiv 1412.6572, section 4)."""
    return _one_step(x, parameters, around, targeted=False)


@_attack(
    "fgsm_targeted",
    title="FGSM, targeted",
    summary="Moves every colour value by ε towards the class that the model ranks second, in one step.",
    stochastic=False,
)
def fgsm_targeted(x: Tensor, parameters: Tensor, streams: Streams, around: Surroundings) -> Tensor:
    """Return x − ε·sign(∇ₓ loss of the class ranked second on x) (Kurakin et al. 2017, arXiv 1611.01236, 2.3)."""
    return _one_step(x, parameters, around, targeted=True)


@_attack(
    "pgd",
    title="PGD",
    summary="Searches within ε of the picture, in ten steps along the model's gradient, for a wrong prediction.",
    stochastic=True,
)
def pgd(x: Tensor, parameters: Tensor, streams: Streams, around: Surroundings) -> Tensor:
    """Take ten steps of 0.25·ε along the gradient's sign, each projected into the ball (arXiv 1706.06083, eq. 2.1).

    The start is x + ε·u with u uniform on (−1, 1), one field per picture, so that one seed starts in the same
    direction at every severity.
    """
    return _many_steps(x, parameters, streams, around, targeted=False)


@_attack(
    "pgd_targeted",
    title="PGD, targeted",
    summary="Searches within ε of the picture, in ten steps, for the class that the model ranks second.",
    stochastic=True,
)
def pgd_targeted(x: Tensor, parameters: Tensor, streams: Streams, around: Surroundings) -> Tensor:
    """Apply ``pgd`` down the loss of the class ranked second on the clean picture."""
    return _many_steps(x, parameters, streams, around, targeted=True)


def _one_step(x: Tensor, parameters: Tensor, around: Surroundings, targeted: bool) -> Tensor:
    """Attack in one step; equal pictures share the direction, which does not depend on ε."""
    out = torch.empty_like(x)
    for model, picture, goal, rows in _attacked(x, around, targeted):
        around.check()
        direction = ascent(model, picture, goal, targeted).sign()
        for row in rows:
            radius = float(parameters[row, 0])
            out[row] = _inside(picture + radius * direction, picture, radius)
        around.check()
    return out


def _many_steps(x: Tensor, parameters: Tensor, streams: Streams, around: Surroundings, targeted: bool) -> Tensor:
    """Attack in STEPS steps from a random start; equal pictures share the clean prediction."""
    out = torch.empty_like(x)
    for model, picture, goal, rows in _attacked(x, around, targeted):
        for row in rows:
            radius = float(parameters[row, 0])
            start = torch.from_numpy(streams[row].random(picture.shape, dtype=np.float32)) * 2 - 1
            moved = _inside(picture + radius * start, picture, radius)
            for _ in range(STEPS):
                around.check()
                step = radius * STRIDE * ascent(model, moved, goal, targeted).sign()
                moved = _inside(moved + step, picture, radius)
            out[row] = moved
    return out


@pinned_torch()
def ascent(model: Attackable, picture: Tensor, goal: int, targeted: bool) -> Tensor:
    """Return the gradient (3,H,W) that leads away from class ``goal``, or towards it, up to a positive factor.

    The cross-entropy's gradient is Σ_j (p_j − [j = goal])·∇z_j. Divided by 1 − p of the goal, its weights are
    the softmax over the other classes, and −1: if the model is certain, p is 1 to the last bit of a float32,
    and the plain gradient would be zero everywhere.
    """
    leaf = picture.detach().clone().requires_grad_()
    logits = model.logits(leaf[None])[0]
    others = logits.detach().cpu().double()
    others[goal] = -torch.inf
    weights = torch.softmax(others, dim=0) if len(others) > 1 else torch.ones_like(others)
    weights[goal] -= 1.0
    weights = (-weights if targeted else weights).to(logits)
    (gradient,) = torch.autograd.grad((weights * logits).sum(), leaf)
    return gradient


def _attacked(x: Tensor, around: Surroundings, targeted: bool) -> Iterator[tuple[Attackable, Tensor, int, list[int]]]:
    """Yield the model, each distinct picture (3,H,W) once, the class to leave or to reach, and the picture's rows.

    The class is the one predicted on the clean picture, or the one ranked second; of equals, the lower index is
    first. Raises BadSetting without a model, and for a targeted attack on a model with a single class.
    """
    if (model := around.classifier) is None:
        raise BadSetting("Adversarial noise needs a model; perturb through an engine that has one.")
    rows: dict[bytes, list[int]] = {}
    for row, picture in enumerate(x):
        rows.setdefault(hashlib.sha256(picture.contiguous().numpy().data).digest(), []).append(row)
    for same in rows.values():
        picture = x[same[0]]
        with torch.no_grad():
            order = torch.sort(model.logits(picture[None])[0].cpu(), descending=True, stable=True).indices
        if targeted and len(order) < 2:
            raise BadSetting("This model has only one class; choose an attack without a target.")
        yield model, picture, int(order[1 if targeted else 0]), same


def _inside(moved: Tensor, clean: Tensor, radius: float) -> Tensor:
    """Return the nearest picture in [clean − ε, clean + ε] ∩ [0, 1]."""
    return torch.minimum(torch.maximum(moved, clean - radius), clean + radius).clamp(0.0, 1.0)
