"""
Settings as fields of a section's class.
"""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, fields, frozen

from twisted_registry.config.values import ValueType

VARIABLE_PREFIX = "COGMENT_MODEL_REGISTRY_"

_KEY = "twisted_registry.setting"


@frozen
class Machine:
    """
    The machine on which the daemon runs, on which some defaults depend.

    Attributes:
        memory_bytes: the memory that the process may use.
        descriptors: how many files and connections the process may have open.
    """

    memory_bytes: int
    descriptors: int


ASSUMED_MACHINE = Machine(memory_bytes=4 * 2**30, descriptors=1024)
"""The machine for the defaults of a section that is made without ``load``, as in tests."""


@frozen
class Setting:
    """
    A setting.

    Attributes:
        name: the name, from which the flag, the environment variable and the key are made.
        type: the type of its values.
        help: what it is for, without a full stop.
        default: returns the default.
        default_text: the default as the help shows it.
        excludes: the name of a setting that may not be given together with this one; empty if there is none.
    """

    name: str
    type: ValueType
    help: str
    default: Callable[[Machine], Any]
    default_text: str
    excludes: str = ""

    @property
    def flag(self) -> str:
        """
        The flag, as it is typed.
        """
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """
        The environment variable.
        """
        return VARIABLE_PREFIX + self.name.upper().replace("-", "_")


def setting(
    name: str, type: ValueType, help: str, default: Any, default_text: str | None = None, excludes: str = ""
) -> Any:
    """
    Return the field of a setting, so that a section needs no other declaration.

    Args:
        default: the default, or a function of the ``Machine`` that returns it.
        default_text: the default as the help shows it; by default, the text of ``default``.
        excludes: the name of a setting that may not be given together with this one.
    """
    made = default if callable(default) else lambda _: default
    text = str(default) if default_text is None else default_text
    declared = Setting(name, type, help, made, text, excludes)
    return field(default=made(ASSUMED_MACHINE), metadata={_KEY: declared})


def settings_of(section: type) -> Sequence[tuple[str, Setting]]:
    """
    Return the names of a section's fields, with their settings.
    """
    return [(each.name, each.metadata[_KEY]) for each in fields(section)]
