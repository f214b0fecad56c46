"""Random-CAM: the sanity baseline, which reads only the activations."""

import hashlib

import numpy as np
import torch
from torch import Tensor

from camlab.cams.base import SharedPass, cam_method


@cam_method(
    "randomcam",
    title="Random-CAM",
    summary="Weights the channels at random: what any method must beat before its map means something.",
    source="sanity baseline, after Adebayo et al. 2018, arXiv 1810.03292",
    uses_gradients=False,
    class_specific=False,
    order=1000,
    gives="weights",
)
def randomcam(shared: SharedPass) -> Tensor:
    """Draw u_k of Σ_k u_k · A_k, uniform on (−1, 1), from a stream seeded by the input's content key.

    Equal inputs get equal maps, different inputs independent ones; the rest of the batch has no influence.
    """
    count = shared.activations.shape[1]
    weights = np.stack([channel_weights(key, count) for key in shared.keys])
    return torch.from_numpy(weights).to(shared.activations)


def channel_weights(key: str, count: int) -> np.ndarray:
    """Draw `count` float64 numbers from U(−1, 1), the same on every platform for the same key."""
    seed = hashlib.blake2b(key.encode(), digest_size=16, person=b"randomcam").digest()
    stream = np.random.Generator(np.random.Philox(key=int.from_bytes(seed, "little")))
    return stream.uniform(-1.0, 1.0, count)
