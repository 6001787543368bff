"""Why bytes that claim to be a profile were not taken as one."""

from enum import StrEnum


class RejectionReason(StrEnum):
    """The fixed list of reasons."""

    TOO_LARGE = "TooLarge"
    DECOMPRESSES_TOO_LARGE = "DecompressesTooLarge"
    DAMAGED = "Damaged"
    TEXT_PROFILE = "TextProfile"
    NOT_A_PROFILE = "NotAProfile"
    WRONG_KIND = "WrongKind"
    TOO_MANY_SAMPLES = "TooManySamples"
    TOO_MANY_FRAMES = "TooManyFrames"
    BAD_REFERENCE = "BadReference"
    BAD_VALUE = "BadValue"


class ProfileRejected(ValueError):
    """A profile that is not read further; `reason` is from the fixed list, the message is for people."""

    def __init__(self, reason: RejectionReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
