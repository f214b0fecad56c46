# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The Explore page in a few lines of Python
#
# Run this file from a clone with `python docs/example.py`, or open it as a notebook (jupytext).
# The first cell makes the package importable without installing it.

# %%
import sys
import tempfile
from pathlib import Path

sys.path.extend([".", ".."])

import pandas as pd

from camlab.engine.shared import engine_for
from camlab.explore.output.files import panels_png
from camlab.explore.output.panels import shown_verdict
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import find_picture
from camlab.metrics import robustness, similarity
from camlab.noise import perturb

# %% [markdown]
# ## One pair
#
# A state holds every choice; fields that you omit keep the page's defaults. A scene runs the picture through
# the model, and `shown` returns the clean and the perturbed picture with their maps.

# %%
state = ExploreState(image="photos/german_shepherd", method="gradcam", noise="gaussian_noise", severity=3)
scene = Scene(engine_for(state.model), find_picture(state.image), state)
shown = scene.shown(state.severity, state.seed)
verdict = shown_verdict(scene, shown.row)
print(verdict, shown.values, sep="\n")

# %% [markdown]
# ## Sixteen draws of the noise
#
# C is the mean similarity of the maps over draws that kept the prediction. R is the mean dissimilarity over
# draws that flipped it. RM is their product. `None` means "not observed": there was no such draw. Compare
# similarities with two floors: the similarity of random rankings, and that of other pictures' maps.

# %%
draws = pd.DataFrame(scene.rows([(state.severity, seed) for seed in state.seeds]))
scores = robustness(draws, unit="row")
floors = scene.floors()
print(f"{scores.n_flipped} of {scores.n} draws flipped")
print(f"C {scores.consistency}, R {scores.responsiveness}, RM {scores.rm}")
print(f"floors: random ranking {floors.random:.2f}, another picture {floors.other:.2f}")

# %% [markdown]
# ## Save the panels

# %%
panels = Path(tempfile.mkdtemp(prefix="camlab_")) / "panels.png"
panels.write_bytes(panels_png(scene, shown))
print(panels)

# %% [markdown]
# ## The same steps by hand
#
# Perturb the picture at the model's input, explain both versions, and compare their maps.

# %%
noisy = perturb(scene.input[None], state.noise, state.severity, state.seed, scene.picture.digest)
clean, perturbed = shown.clean.maps[state.method], shown.perturbed.maps[state.method]
rbo = float(similarity("rbo", clean[None], perturbed[None], scene.comparison)[0])
change = float((noisy - scene.input).abs().mean())
print(f"RBO {rbo:.3f}; the noise changed each value by {change:.3f} on average")
