"""Evaluation of predictions on a label set's windows, streamed: scores, figures and a page."""
