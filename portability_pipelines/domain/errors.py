"""Every failure this project raises on purpose.

PortabilityError
├── TransientError   the same request may succeed later; a retry helps
├── PermanentError   a retry meets the same failure; somebody has to act
└── RefusedError     the request itself is wrong; the advice says what to ask instead

A message names what failed and on what; ``advice`` says what to do. Neither ever holds a secret.
"""

from __future__ import annotations


class PortabilityError(Exception):
    """A failure with advice; ``str()`` is one line fit for a log or a terminal."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message, advice)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}. {self.advice}"


class TransientError(PortabilityError):
    """The same request may succeed later."""


class PermanentError(PortabilityError):
    """A retry meets the same failure."""


class RefusedError(PortabilityError):
    """The request is wrong as it stands."""
