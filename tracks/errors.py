"""Errors that a person reads: one line that names what was wrong, where, and what would be right."""


class TracksError(Exception):
    """Something failed. The command line prints the message and exits with 1."""

    exit_code = 1


class UsageError(TracksError):
    """The request itself was wrong. The command line prints the message and exits with 2."""

    exit_code = 2
