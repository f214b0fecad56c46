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
# # What the Explore page does, in ten lines
#
# Run it from a clone with `python docs/example.py`, or open it as a notebook (jupytext).
# The first cell only makes the package importable without installing it.

# %%
import sys
import tempfile
from pathlib import Path

sys.path.extend([".", ".."])

import pandas as pd

from camlab.engine.shared import engine_for
from camlab.explore.output.words import (shown_verdict)
from camlab.explore.output.files import (panels_png)
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import find_picture
from camlab.metrics import robustness, similarity
from camlab.noise import perturb

# %% [markdown]
# ## One pair
#
# A state names every choice; what it leaves out keeps the page's default. A scene puts the picture through
# the model, and `shown` gives the clean and the perturbed picture with their maps.

# %%
state = ExploreState(image="photos/german_shepherd", method="gradcam", noise="gaussian_noise", severity=3)
scene = Scene(engine_for(state.model), find_picture(state.image), state)
shown = scene.shown(state.severity, state.seed)
verdict = shown_verdict(scene, shown.row)
print(verdict, shown.values, sep="\n")

# %% [markdown]
# ## Sixteen draws of the noise
#
# C is the mean similarity of the maps where the prediction was kept, R the mean dissimilarity where it
# flipped, RM their product. `None` means "not observed": no draw of that kind. The two floors say what
# similarity is worth: that of random rankings, and that of the maps of other pictures.

# %%
draws = pd.DataFrame(scene.rows([(state.severity, seed) for seed in state.seeds]))
scores = robustness(draws, unit="row")
floors = scene.floors()
print(f"{scores.n_flipped} of {scores.n} draws flipped")
print(f"C {scores.consistency}, R {scores.responsiveness}, RM {scores.rm}")
print(f"floors: random ranking {floors.random:.2f}, another picture {floors.other:.2f}")

# %% [markdown]
# ## The panels as a file

# %%
panels = Path(tempfile.mkdtemp(prefix="camlab_")) / "panels.png"
panels.write_bytes(panels_png(scene, shown))
print(panels)

# %% [markdown]
# ## The same, one floor down
#
# Nothing above is magic: perturb the model's input picture, explain both, compare the maps.

# %%
noisy = perturb(scene.input[None], state.noise, state.severity, state.seed, scene.picture.digest)
clean, perturbed = shown.clean.maps[state.method], shown.perturbed.maps[state.method]
rbo = float(similarity("rbo", clean[None], perturbed[None], scene.comparison)[0])
print(
    f"RBO {rbo:.3f}; the noise moved each value by {float((noisy - scene.input).abs().mean()):.3f} on average"
)
