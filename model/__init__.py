"""The numbers: trunks, heads, weights in and out, prediction, training and evaluation."""
