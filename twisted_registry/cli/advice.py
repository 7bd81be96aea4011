"""
What a person at a shell can do about an error.

An error's own text speaks to whoever writes a program: of calls, and of the daemon's flags.  Where a command is the
remedy, it is named here instead; all other errors say it themselves.
"""

from collections.abc import Callable
from typing import Any

from twisted_registry.cli.references import Reference
from twisted_registry.cli.text import harmless_id, is_word
from twisted_registry.client import errors
from twisted_registry.domain.errors import REWRITE_MODEL


def explain(error: errors.RegistryError) -> str:
    """
    Say what went wrong, and what can be done about it at a shell.
    """
    # A kind that is derived from one of these says something else.
    told = _TOLD.get(type(error))
    return str(error) if told is None else told(error)


def model_word(model_id: str) -> str:
    """
    Return a model as a shell takes it; a placeholder where a shell would take it apart.
    """
    return str(Reference(model_id)) if is_word(model_id) else "MODEL"


def _unknown_model(error: errors.UnknownModel) -> str:
    return (
        f"there is no model {harmless_id(error.model_id)}; 'twisted-registry ls' lists those there are, and "
        "'twisted-registry set' or 'push --create' makes one"
    )


def _unknown_version(error: errors.UnknownVersion) -> str:
    return (
        f"model {harmless_id(error.model_id)} has no version {error.selector}; 'twisted-registry versions "
        f"{model_word(error.model_id)}' lists those it has: one that is not archived may have been evicted"
    )


def _model_replaced(error: errors.ModelReplaced) -> str:
    return (
        f"model {harmless_id(error.model_id)} was deleted meanwhile, and the new version with it; "
        "'twisted-registry push --create' makes both again"
    )


def _overloaded(error: errors.Overloaded) -> str:
    cause = error.reason.partition(";")[0]
    return f"the registry has no room for it now ({cause}); try again later, or longer, such as with --patience 60"


def _storage_full(error: errors.StorageFull) -> str:
    return (
        f"the registry's storage is full ({error.reason}); nothing was stored: make room on its disk, or delete a "
        "model with 'twisted-registry rm', then try again"
    )


def _corrupt_model(error: errors.CorruptModel) -> str:
    word = model_word(error.model_id)
    remedy = (
        f"'twisted-registry set --replace {word} KEY=VALUE...' writes its user data anew, and its versions stay"
        if error.remedy == REWRITE_MODEL
        else error.remedy.replace("CreateOrUpdateModel", f"'twisted-registry set {word}'")
    )
    return f"model {harmless_id(error.model_id)} is damaged on the archive ({error.reason}); {remedy}"


def _corrupt_version(error: errors.CorruptVersion) -> str:
    word = model_word(error.model_id)
    return (
        f"version {error.version_number} of model {harmless_id(error.model_id)} is damaged on the archive "
        f"({error.reason}); take another, 'twisted-registry versions {word}' lists them, or restore its files"
    )


def _unreachable(error: errors.Unreachable) -> str:
    return f"{error} --server or TWISTED_REGISTRY_SERVER says where it is"


def _creation_uncertain(error: errors.CreationUncertain) -> str:
    word = model_word(error.model_id)
    return (
        f"a new version of model {harmless_id(error.model_id)} was sent, but no answer came ({error.reason}), and "
        f"{error.finding}; look at 'twisted-registry versions {word}' before you push it again"
    )


def _not_authenticated(error: errors.NotAuthenticated) -> str:
    return f"the registry did not accept who asks ({error.reason}); TWISTED_REGISTRY_TOKEN takes a valid token"


_TOLD: dict[type[errors.RegistryError], Callable[[Any], str]] = {
    errors.UnknownModel: _unknown_model,
    errors.UnknownVersion: _unknown_version,
    errors.ModelReplaced: _model_replaced,
    errors.Overloaded: _overloaded,
    errors.StorageFull: _storage_full,
    errors.CorruptModel: _corrupt_model,
    errors.CorruptVersion: _corrupt_version,
    errors.Unreachable: _unreachable,
    errors.CreationUncertain: _creation_uncertain,
    errors.NotAuthenticated: _not_authenticated,
}
