"""Pictures: sources, safe decoding, image sets, labels and outlines."""

from camlab.images.builtin import IMAGE_SETS
from camlab.images.decode import decode_image
from camlab.images.find import (
    built_in_pictures,
    find_picture,
    picture_from_bytes,
    picture_from_path,
    read_file,
    set_of,
)
from camlab.images.picture import OWN_KINDS, ImageSet, Picture
from camlab.images.scenes.image_set import SHAPES, shape_scenes

__all__ = [
    "IMAGE_SETS",
    "OWN_KINDS",
    "SHAPES",
    "ImageSet",
    "Picture",
    "built_in_pictures",
    "decode_image",
    "find_picture",
    "picture_from_bytes",
    "picture_from_path",
    "read_file",
    "set_of",
    "shape_scenes",
]
