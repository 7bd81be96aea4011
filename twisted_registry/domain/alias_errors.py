"""
Errors of aliases.
"""

from attrs import define

from twisted_registry.domain.error_base import RegistryError, shown


@define
class UnknownAlias(RegistryError):
    """
    The model has no such alias.

    Attributes:
        model_id: the model's id.
        alias: the name of the alias.
    """

    model_id: str
    alias: str

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} has no alias {shown(self.alias)}; name a version by its number or by "
            "another alias, and write %40 for an @ in a model's id"
        )


@define
class AliasMoved(RegistryError):
    """
    An alias does not name the version that the request expects.

    Attributes:
        model_id: the model's id.
        alias: the name of the alias.
        expected_number: the number that the request expects; 0 if it expects that there is no such alias.
        present_number: the number that the alias names; 0 if there is no such alias.
    """

    model_id: str
    alias: str
    expected_number: int
    present_number: int

    def __str__(self) -> str:
        present = f"names version {self.present_number}" if self.present_number else "does not exist"
        expected = f"version {self.expected_number}" if self.expected_number else "no such alias"
        return (
            f"alias {shown(self.alias)} of model {shown(self.model_id)} {present}, and the request expects {expected}; "
            "look at what has moved it, then try again with the present number"
        )


@define
class AliasedVersion(RegistryError):
    """
    The version cannot be deleted, because an alias names it.

    Attributes:
        model_id: the model's id.
        version_number: the version's number.
        alias: the alias, or the first of several.
    """

    model_id: str
    version_number: int
    alias: str

    def __str__(self) -> str:
        return (
            f"version {self.version_number} of model {shown(self.model_id)} cannot be deleted while the alias "
            f"{shown(self.alias)} names it; move or delete the alias first"
        )


@define
class TooManyAliases(RegistryError):
    """
    A new alias cannot be set, because the model has as many as it may have.

    Attributes:
        model_id: the model's id.
        max_aliases: how many it may have.
    """

    model_id: str
    max_aliases: int

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} would have more than {self.max_aliases} aliases; delete aliases that nobody "
            "needs, or describe versions with labels instead"
        )
