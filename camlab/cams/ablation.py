"""Ablation-CAM: a channel's weight is the drop of the class score without that channel."""

import torch
from torch import Tensor

from camlab.cams.base import SharedPass, cam_method
from camlab.models.network.split import PointwiseHead

#: Channels ablated at once on a CPU: enough to share the cost of a call, few enough to stay in its cache.
UPDATES_AT_ONCE = 32


@cam_method(
    "ablationcam",
    title="Ablation-CAM",
    summary="Switches each channel off in turn and weights it by how far the class score drops.",
    source="Desai & Ramaswamy 2020, WACV, doi 10.1109/WACV45572.2020.9093360",
    uses_gradients=False,
    cost="tail",
    order=40,
    price="one pass of the layers after the target layer per channel, or none where a formula gives the answer",
    gives="weights",
)
def ablationcam(shared: SharedPass) -> Tensor:
    """Compute the weights y − y_k of Σ_k (y − y_k) · A_k, y_k the target logit with channel k set to zero.

    The paper divides by y. For y > 0 that is a scale, which min-max scaling removes; for y < 0 it would invert the
    map, so that channels which support the class go dark. The drop itself keeps the orientation for every logit.

    If the layer feeds average pooling and one linear layer, the drop is exactly w_k · mean(A_k). If a 1 × 1
    convolution and an activation stand between, ablating a channel subtracts one outer product from the
    pre-activations, without another convolution.
    """
    classifier, layer = shared.classifier, shared.layer
    if (head := classifier.linear_head(layer)) is not None:
        return head[0][shared.targets] * shared.activations.mean(dim=(2, 3))
    if (pointwise := classifier.pointwise_head(layer)) is not None:
        return drops_by_updates(shared, pointwise)
    return drops_by_passes(shared)


def drops_by_updates(shared: SharedPass, head: PointwiseHead) -> Tensor:
    """Compute the drop of each target logit without each channel (N, K), if the tail mixes no positions.

    With pre-activations z = W·A + b, those without channel k are z − W_k ⊗ A_k, a rank-1 update. Raises what
    `check` raises, between pictures.
    """
    activations = shared.activations.flatten(2).contiguous()
    columns = head.mix.T.contiguous()[..., None]  # (K, M, 1)
    drops = torch.zeros(activations.shape[:2], dtype=activations.dtype, device=activations.device)
    size = UPDATES_AT_ONCE if activations.device.type == "cpu" else shared.chunk
    with torch.no_grad():
        for row, values in enumerate(activations):
            shared.check()
            before = torch.addmm(head.shift[:, None], head.mix, values)
            # Average over positions and weight the channels in one product with the flattened maps.
            weights = head.weights[shared.targets[row]] / values.shape[1]
            score = head.act(before.clone()).sum(dim=1) @ weights
            # Ablating a channel that is zero changes nothing.
            for part in values.any(dim=1).nonzero()[:, 0].split(size):
                left = torch.baddbmm(before, columns[part], values[part][:, None], alpha=-1)
                drops[row, part] = score - head.act(left).sum(dim=2) @ weights
    return drops


def drops_by_passes(shared: SharedPass) -> Tensor:
    """Compute the drop of each target logit without each channel (N, K), by tail passes in chunks.

    A channel that is zero takes no pass: ablating it changes nothing. Raises what `check` raises.
    """
    activations, scores = shared.activations, shared.scores
    drops = torch.zeros(activations.shape[:2], dtype=scores.dtype, device=scores.device)
    with torch.no_grad():
        alive = (activations != 0).flatten(2).any(dim=2)
        # No chunk mixes pictures: a picture's last bits do not depend on the rest of the batch.
        for row in range(len(activations)):
            for channels in torch.split(alive[row].nonzero()[:, 0], shared.chunk):
                shared.check()
                inputs = torch.full_like(channels, row)
                ablated = activations[inputs]
                ablated[torch.arange(len(channels), device=ablated.device), channels] = 0
                left = shared.tail(ablated, inputs)[:, shared.targets[row]]
                drops[row, channels] = scores[row] - left
    return drops
