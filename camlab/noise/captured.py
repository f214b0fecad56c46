"""The user's own noise: a second photograph of the same scene, taken under worse conditions."""

import torch
from torch import Tensor

from camlab.common.errors import BadSetting
from camlab.noise.base import Streams, column, noise_type


@noise_type(
    "captured",
    title="Your second picture",
    family="Your own",
    summary="Blends from the clean picture at severity 0 to your own noisy picture of the scene at 5.",
    parameters=("share of the second picture",),
    levels=((0.0,), (0.2,), (0.4,), (0.6,), (0.8,), (1.0,)),
    stochastic=False,
    needs="companion",
)
def captured(x: Tensor, parameters: Tensor, streams: Streams, others: Tensor) -> Tensor:
    """Return x·(1 − s) + other·s, s the share: exactly the second picture at severity 5.

    Raises BadSetting if the second picture has another size or values outside [0, 1].
    """
    if others.shape != x.shape:
        sizes = " and ".join("×".join(map(str, each.shape[2:])) for each in (x, others))
        raise BadSetting(f"The two pictures have different sizes ({sizes}); preprocess both for this model.")
    others = others.to("cpu", torch.float32)
    if not bool(((others >= 0) & (others <= 1)).all()):
        raise BadSetting("The second picture has values outside 0 to 1; upload it as an image file.")
    share = column(parameters, 0)
    return x * (1 - share) + others * share
