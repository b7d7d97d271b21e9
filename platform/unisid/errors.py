"""The errors a user can cause. Their text is: where: what is wrong, with the values; what would be right."""

from unisid.masked import masked
from unisid.printable import printable_lines


class UnisidError(Exception):
    """Something a user can put right; the command line prints its text and nothing else.

    The values in the text may come from data: as text it is fit to be shown (`unisid.printable`). Secrets in URIs are
    masked, those in a library's words that it quotes too.
    """

    def __init__(self, *words: object) -> None:
        super().__init__(*(masked(word) if isinstance(word, str) else word for word in words))

    def __str__(self) -> str:
        return printable_lines(super().__str__())


class ConfigError(UnisidError):
    """A setting is unknown, of the wrong type, out of range, or contradicts another."""


class DataError(UnisidError):
    """An input table, file or vector does not hold what it must."""


class ArtifactError(UnisidError):
    """An artifact is missing, incomplete, damaged, or of another kind than required."""


class UnreadableError(ArtifactError):
    """An artifact cannot be read, though nothing says that it is damaged: a newer format, rights, a network."""


class DriftError(UnisidError):
    """An artifact stands at this address, but it was made from other settings or inputs."""


class BusyError(ArtifactError):
    """Another process is at work on this artifact, or needs it."""


class MachineError(UnisidError, RuntimeError):
    """The processes that did the work were lost: to the kernel for memory, to a node that went down."""
