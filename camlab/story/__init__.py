"""Stories: five steps from a convincing heat map to what can be said of it, told from a picture or a study."""

from camlab.story.of_scene import Measured, measure, scene_slides
from camlab.story.of_study import study_slides
from camlab.story.presets import Preset, stories
from camlab.story.slides import STEPS, Image, Slide

__all__ = [
    "STEPS",
    "Image",
    "Measured",
    "Preset",
    "Slide",
    "measure",
    "scene_slides",
    "stories",
    "study_slides",
]
