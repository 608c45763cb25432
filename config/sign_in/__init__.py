"""Sessions hold this dotted name: another one would sign all staff out."""

from config.sign_in.backend import SignInBackend

__all__ = ["SignInBackend"]
