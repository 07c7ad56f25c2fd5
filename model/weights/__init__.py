"""Weights in: Basenji2 and the published heads, from the files that other programs wrote."""

from model.weights.importing import Choices, Imported, import_weights

__all__ = ["Choices", "Imported", "import_weights"]
