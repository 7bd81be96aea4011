"""
Errors of transfers that begin, or go on, in the middle of the data.
"""

from attrs import define

from twisted_registry.domain.error_base import RegistryError, shown


@define
class OutOfRange(RegistryError):
    """
    The version's data ends before the offset at which it is to be read.

    Attributes:
        offset: the offset in bytes.
        size_bytes: the size of the version's data.
    """

    offset: int
    size_bytes: int

    def __str__(self) -> str:
        return (
            f"the offset {self.offset} is behind the end of the version, which has {self.size_bytes} bytes; read from "
            "a lower offset, or from 0 if the part that you hold is of another version"
        )


@define
class WrongOffset(RegistryError):
    """
    An upload cannot go on at an offset, because the registry does not keep the data before it.

    Attributes:
        offset: the offset in bytes.
        received_bytes: how many bytes are kept.
    """

    offset: int
    received_bytes: int

    def __str__(self) -> str:
        return (
            f"the upload cannot go on at offset {self.offset}: {self.received_bytes} bytes of it are kept; call "
            "GetUpload, which also knows whether the version exists already, and send the rest, or begin again at 0"
        )


@define
class UploadTakenOver(RegistryError):
    """
    Another call with the same idempotency key goes on with this upload.
    """

    model_id: str

    def __str__(self) -> str:
        return (
            f"another call with the same idempotency key has taken over this upload to model {shown(self.model_id)}; "
            "if that was not intended, use a new key for each version, else GetUpload says what became of it"
        )
