"""Ablation-CAM: a channel's weight is what the class score loses without it."""

from __future__ import annotations

import torch
from torch import Tensor

from camlab.cams.base import SharedPass, cam_method, weighted_sum


@cam_method(
    "ablationcam",
    title="Ablation-CAM",
    summary="Switches each channel off in turn and weights it by how far the class score drops.",
    source="Desai & Ramaswamy 2020, WACV, doi 10.1109/WACV45572.2020.9093360",
    uses_gradients=False,
    cost="tail",
    order=40,
)
def ablationcam(shared: SharedPass) -> Tensor:
    """Σ_k (y − y_k) · A_k, y_k the target logit with channel k set to zero.

    The paper divides by y. For y > 0 that is a scale, which min-max scaling removes; for y < 0 it would turn
    the map upside down, so that the channels which support the class go dark. The drop itself is used, and
    the map keeps its orientation for every logit.

    Where the layer feeds average pooling and one linear layer, the drop is exactly w_k · mean(A_k).
    """
    head = shared.classifier.linear_head(shared.layer)
    if head is None:
        return weighted_sum(drops_by_passes(shared), shared.activations)
    weights, _ = head
    drops = weights[shared.targets] * shared.activations.mean(dim=(2, 3))
    return weighted_sum(drops, shared.activations)


def drops_by_passes(shared: SharedPass) -> Tensor:
    """What each target logit loses without each channel (N, K), by tail passes in chunks.

    A channel that is zero already has nothing to lose and takes no pass. Raises what `check` raises.
    """
    activations, scores = shared.activations, shared.scores
    drops = torch.zeros(activations.shape[:2], dtype=scores.dtype, device=scores.device)
    with torch.no_grad():
        alive = (activations != 0).flatten(2).any(dim=2).nonzero()
        for start in range(0, len(alive), shared.chunk):
            shared.check()
            pairs = alive[start : start + shared.chunk]
            inputs, channels = pairs.unbind(dim=1)
            ablated = activations[inputs]
            ablated[torch.arange(len(pairs), device=ablated.device), channels] = 0
            logits = shared.classifier.tail(ablated, shared.layer)
            left = logits.gather(1, shared.targets[inputs][:, None])[:, 0]
            drops[inputs, channels] = scores[inputs] - left
    return drops
