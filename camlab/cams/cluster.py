"""CF-CAM: channels clustered by their maps, gradients filtered within each cluster, outliers left out."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlab.cams.base import SharedPass, cam_method

Floats = NDArray[np.float64]

# The first three are those of the authors' published code (github.com/jerrypan617/CF-CAM, `CF-CAM.py`); the paper's
# abstract names none. SIGMA is ours.
#: Channels whose norm reaches this percentile are dominant.
DOMINANT_PERCENTILE = 75.0
#: DBSCAN's radius is this percentile of the distances between the other channels.
RADIUS_PERCENTILE = 25.0
#: DBSCAN's core channels have at least this share of the clustered channels within the radius, and at least two.
CORE_SHARE = 0.05
#: Standard deviation of the Gaussian filter, in cells of the layer's map, cut off at three of them.
SIGMA = 1.0


@cam_method(
    "cfcam",
    title="CF-CAM",
    summary="Like Grad-CAM, but channels with similar maps share one smoothed gradient and outliers are left out.",
    source="He, Pan & Yao 2025, arXiv 2504.00060; percentiles and core size from the authors' code, filter width ours",
    uses_gradients=True,
    order=92,
    price="about 6 ms per picture (one CPU core, 1280 channels of 7 × 7); the first map takes a second more",
    gives="weights",
)
def cfcam(shared: SharedPass) -> Tensor:
    """Compute the channel weights of CF-CAM in three levels: dominant, clustered, noise.

    Dominant channels (the quarter with the largest L2 norm) keep Grad-CAM's weight, mean(G_k). DBSCAN clusters the
    others by the Euclidean distances of their flattened maps; its radius is the 25th percentile of these distances,
    and a core channel has 5 % of the clustered channels, at least two, within the radius. Every channel of a cluster
    gets the same weight: the cluster's mean gradient, smoothed by a Gaussian filter and averaged over positions.
    Channels outside all clusters are noise and weigh 0.

    All this follows the authors' published code and the paper's abstract, except:

    - Channels that are zero everywhere are left out first. After a ReLU most channels are zero, and the radius would
      be 0, which the code replaces by 1e-5.
    - The filter is the paper's Gaussian, of our own width SIGMA; the code uses one kernel as large as the map, which
      it calls bilateral (σ 5 cells, range 0.1). As in the code, the gradient is zero outside the map: with mirrored
      borders a filter would not change the mean at all.
    - The weights are used directly. The code applies a softmax, which makes the weights of mean gradients near 1e-3
      almost equal, whatever the class.
    """
    activations = shared.activations.detach().cpu().double().numpy()
    gradients = shared.grads.detach().cpu().double().numpy()
    weights = np.zeros(activations.shape[:2])
    for row, (maps, grads) in enumerate(zip(activations, gradients, strict=True)):
        shared.check()
        weights[row] = channel_weights(maps, grads)
    return torch.from_numpy(weights).to(shared.activations)


def channel_weights(maps: Floats, grads: Floats) -> Floats:
    """Compute CF-CAM's weights (K,) for one picture's maps and gradients (K, h, w)."""
    from scipy.ndimage import gaussian_filter

    weights = np.zeros(len(maps))
    flat = maps.reshape(len(maps), -1)
    alive = np.flatnonzero(np.isfinite(flat).all(axis=1) & flat.any(axis=1))
    if not len(alive):
        return weights
    norms = np.linalg.norm(flat[alive], axis=1)
    dominant = norms >= np.percentile(norms, DOMINANT_PERCENTILE)
    top, others = alive[dominant], alive[~dominant]
    weights[top] = grads[top].mean(axis=(1, 2))
    for members in clusters(flat[others]):
        chosen = others[members]
        smooth = gaussian_filter(grads[chosen].mean(axis=0), SIGMA, mode="constant", truncate=3.0)
        weights[chosen] = smooth.mean()
    return weights


def clusters(points: Floats) -> list[NDArray[np.intp]]:
    """Return the indices of each DBSCAN cluster of points (M, D), with CF-CAM's radius and core size."""
    if len(points) < 2:
        return []
    from scipy.spatial.distance import pdist, squareform
    from sklearn.cluster import DBSCAN

    distances = pdist(points)
    # DBSCAN refuses the radius 0 of equal rows.
    radius = max(float(np.percentile(distances, RADIUS_PERCENTILE)), float(np.finfo(np.float64).tiny))
    core = max(2, int(CORE_SHARE * len(points)))
    labels = DBSCAN(eps=radius, min_samples=core, metric="precomputed").fit(squareform(distances)).labels_
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
