"""Errors a person can meet, as one small tree; each carries the exit status the command line ends with.

A message says what is wrong, where, and what to do about it, on one line.
"""

from __future__ import annotations


class TrimtabError(Exception):
    """Base of every error Trimtab raises on purpose. Exit status 1: the answer is no."""

    exit_status = 1


class RefusedError(TrimtabError):
    """An action was refused because its preconditions do not hold. Nothing was done."""


class InputError(TrimtabError):
    """Bad usage, configuration or input file. Refused whole, before anything happened."""

    exit_status = 2


class UnreachableError(TrimtabError):
    """Something outside that Trimtab needs does not answer."""

    exit_status = 3


class StoreUnavailableError(UnreachableError):
    """The store does not answer, or answers without the promises Trimtab needs from it."""


class HostUnreachableError(UnreachableError):
    """A host does not answer within its deadline."""


class StepError(TrimtabError):
    """A step of a plan failed, or its outcome cannot be seen."""

    exit_status = 4


class RateLimitError(TrimtabError):
    """A rate limit is used up. Nothing was changed; the same may go through later."""


class FencedError(TrimtabError):
    """The store refused a write because a newer leader holds the lease. The writer must stop acting."""


class ConflictError(TrimtabError):
    """The store refused a change because what it was based on has changed meanwhile."""
