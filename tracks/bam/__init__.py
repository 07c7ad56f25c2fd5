"""Aligned reads (BAM and CRAM) to tracks: coverage and modified bases."""
