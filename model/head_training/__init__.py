"""Training heads on a frozen trunk: labels in, one streaming pass an epoch, a head in the model folder out."""

from model.head_training.recipes import Recipe, recipe
from model.head_training.run import train_head
from model.head_training.settings import HeadTraining, Progress

__all__ = ["HeadTraining", "Progress", "Recipe", "recipe", "train_head"]
