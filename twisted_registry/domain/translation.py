"""
A context manager that raises other errors in place of those of a block.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

E = TypeVar("E", bound=Exception)


class ErrorTranslation(Generic[E]):
    """
    A context manager that raises the translation of an error.

    It keeps no state, so that several blocks may use it at once, in any threads.  It costs a fifth of a context
    manager made of a generator, which shows where a download enters it for every read.
    """

    __slots__ = ("_errors", "_translate")

    def __init__(self, errors: type[E] | tuple[type[E], ...], translate: Callable[[E], Exception]) -> None:
        """

        Args:
            errors: the classes of the errors to translate.
            translate: returns the error to raise; the same error to raise it unchanged.
        """
        self._errors = errors
        self._translate = translate

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and isinstance(error, self._errors):
            translation = self._translate(error)
            if translation is not error:
                raise translation from error
