"""The mini project: real human sequence and labels that anyone with apt and pip can prepare (``tracks data mini``)."""

from tracks.mini.demo import prepare_demo
from tracks.mini.prepare import prepare_mini

__all__ = ["prepare_demo", "prepare_mini"]
