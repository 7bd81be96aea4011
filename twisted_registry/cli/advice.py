"""
Advice to a person at a shell on what to do about an error.

The text of an error is for programmers: it names calls and the daemon's flags.  If a command is the remedy, the text
here names the command instead.
"""

from collections.abc import Callable
from typing import Any

from twisted_registry.cli.references import model_word, reference_word
from twisted_registry.cli.text import harmless_id
from twisted_registry.client import errors
from twisted_registry.domain.errors import REWRITE_MODEL
from twisted_registry.domain.references import Reference

_IN_LOGS = (errors.IncidentReported, errors.NotAuthenticated, errors.NotPermitted, errors.QuotaExceeded)
"""Errors whose cause an operator finds in the logs of the server, by the request's id."""

_QUERY_OPTIONS = {"filter": "--filter", "order_by": "--sort"}


def explain(error: errors.RegistryError) -> str:
    """
    Return what went wrong, and what to do about it at a shell.
    """
    # Only the exact type is looked up, because a subclass has another text.
    describe = _DESCRIPTIONS.get(type(error))
    text = str(error) if describe is None else describe(error)
    return f"{text} (request {error.request_id})" if isinstance(error, _IN_LOGS) and error.request_id else text


def _unknown_model(error: errors.UnknownModel) -> str:
    return (
        f"there is no model {harmless_id(error.model_id)}; 'twisted-registry ls' lists all models, and "
        "'twisted-registry set' or 'push --create' creates one"
    )


def _unknown_version(error: errors.UnknownVersion) -> str:
    return (
        f"model {harmless_id(error.model_id)} has no version {error.selector}; 'twisted-registry versions "
        f"{model_word(error.model_id)}' lists the versions it has; a transient version may have been evicted"
    )


def _unknown_alias(error: errors.UnknownAlias) -> str:
    return (
        f"model {harmless_id(error.model_id)} has no alias {harmless_id(error.alias)}; 'twisted-registry alias ls "
        f"{model_word(error.model_id)}' lists those it has, and an @ in a model's id is written %40"
    )


def _alias_moved(error: errors.AliasMoved) -> str:
    present = f"names version {error.present_number}" if error.present_number else "does not exist"
    expected = f"version {error.expected_number}" if error.expected_number else "no such alias"
    word = reference_word(Reference(error.model_id, alias=error.alias))
    return (
        f"alias {harmless_id(error.alias)} of model {harmless_id(error.model_id)} {present}, and {expected} was "
        f"expected, so nothing was changed; 'twisted-registry alias log {word}' shows its moves"
    )


def _aliased_version(error: errors.AliasedVersion) -> str:
    word = reference_word(Reference(error.model_id, alias=error.alias))
    return (
        f"version {error.version_number} of model {harmless_id(error.model_id)} was not deleted, because the alias "
        f"{harmless_id(error.alias)} names it; move it with 'twisted-registry alias set', or remove it with "
        f"'twisted-registry alias rm {word}'"
    )


def _invalid_filter(error: errors.InvalidFilter) -> str:
    option = _QUERY_OPTIONS.get(error.parameter, error.parameter)
    return f"{option}, column {error.column}: {error.reason}"


def _cursor_expired(error: errors.CursorExpired) -> str:
    return (
        "events have been missed: the registry has restarted, or no longer keeps those after the last one that was "
        "received; 'twisted-registry events' without --cursor begins again"
    )


def _unsupported(error: errors.Unsupported) -> str:
    return (
        f"the registry does not have what this command needs ({error.reason}); is this the address of a "
        "twisted-registry that is new enough?"
    )


def _model_replaced(error: errors.ModelReplaced) -> str:
    return (
        f"model {harmless_id(error.model_id)} was deleted in the meantime, and the new version with it; "
        "'twisted-registry push --create' creates both again"
    )


def _overloaded(error: errors.Overloaded) -> str:
    cause = error.reason.partition(";")[0]
    return (
        f"the registry is overloaded ({cause}); try again later, or retry for longer, for example with "
        "--retry-seconds 60"
    )


def _storage_full(error: errors.StorageFull) -> str:
    return (
        f"the registry's storage is full ({error.reason}); nothing was stored: delete versions with "
        "'twisted-registry prune MODEL --keep-last 10' or 'twisted-registry rm', or free space on its disk, then try "
        "again"
    )


def _corrupt_model(error: errors.CorruptModel) -> str:
    word = model_word(error.model_id)
    remedy = (
        f"'twisted-registry set --replace {word} KEY=VALUE...' writes its metadata again, and keeps its versions"
        if error.remedy == REWRITE_MODEL
        else error.remedy.replace("CreateOrUpdateModel", f"'twisted-registry set {word}'")
    )
    return f"model {harmless_id(error.model_id)} is damaged in the archive ({error.reason}); {remedy}"


def _corrupt_version(error: errors.CorruptVersion) -> str:
    word = model_word(error.model_id)
    return (
        f"version {error.version_number} of model {harmless_id(error.model_id)} is damaged in the archive "
        f"({error.reason}); use another version ('twisted-registry versions {word}' lists them), restore its files, or "
        f"delete it with 'twisted-registry rm {word}@{error.version_number}'"
    )


def _corrupt_annotations(error: errors.CorruptAnnotations) -> str:
    word = reference_word(Reference(error.model_id, error.version_number))
    return (
        f"the labels and metrics of version {error.version_number} of model {harmless_id(error.model_id)} are damaged "
        f"in the archive ({error.reason}); its data is not: 'twisted-registry label --replace {word} KEY=VALUE' sets "
        "labels again and removes all others, and 'twisted-registry metric' sets metrics"
    )


def _corrupt_aliases(error: errors.CorruptAliases) -> str:
    word = model_word(error.model_id)
    return (
        f"the history of the aliases of model {harmless_id(error.model_id)} is damaged in the archive, so an alias may "
        f"name this version, and it is not deleted; 'twisted-registry alias ls {word}' shows where the aliases are: "
        "set those that are wrong again, then stop the registry and run 'twisted-registry archive verify --quarantine' "
        "on its machine"
    )


def _corrupt_retention(error: errors.CorruptRetention) -> str:
    return (
        f"{error.subject} cannot be read ({error.reason}), and nothing is deleted by it; set the policy of a model "
        "again with 'twisted-registry retention set'; for prefixes, stop the registry and run 'twisted-registry "
        "archive verify --quarantine' on its machine, then set them again"
    )


def _unsupported_by_archive(error: errors.UnsupportedByArchive) -> str:
    return f"{error.reason}; only with another archive provider, which its operator chooses, could the registry do this"


def _unreachable(error: errors.Unreachable) -> str:
    return f"{error} --server or TWISTED_REGISTRY_SERVER sets its address"


def _creation_uncertain(error: errors.CreationUncertain) -> str:
    word = model_word(error.model_id)
    return (
        f"a new version of model {harmless_id(error.model_id)} was sent, but no answer came ({error.reason}), and "
        f"{error.finding}; check 'twisted-registry versions {word}' before you push again"
    )


def _not_authenticated(error: errors.NotAuthenticated) -> str:
    return (
        f"the registry does not know who you are ({error.reason}); run 'twisted-registry login', or set "
        "TWISTED_REGISTRY_TOKEN or --token-file"
    )


def _token_unusable(error: errors.TokenUnusable) -> str:
    return f"there is no token to send: {error.reason}"


_DESCRIPTIONS: dict[type[errors.RegistryError], Callable[[Any], str]] = {
    errors.UnknownModel: _unknown_model,
    errors.UnknownVersion: _unknown_version,
    errors.UnknownAlias: _unknown_alias,
    errors.AliasMoved: _alias_moved,
    errors.AliasedVersion: _aliased_version,
    errors.InvalidFilter: _invalid_filter,
    errors.CursorExpired: _cursor_expired,
    errors.Unsupported: _unsupported,
    errors.ModelReplaced: _model_replaced,
    errors.Overloaded: _overloaded,
    errors.StorageFull: _storage_full,
    errors.CorruptModel: _corrupt_model,
    errors.CorruptVersion: _corrupt_version,
    errors.CorruptAnnotations: _corrupt_annotations,
    errors.CorruptAliases: _corrupt_aliases,
    errors.CorruptRetention: _corrupt_retention,
    errors.UnsupportedByArchive: _unsupported_by_archive,
    errors.Unreachable: _unreachable,
    errors.CreationUncertain: _creation_uncertain,
    errors.NotAuthenticated: _not_authenticated,
    errors.TokenUnusable: _token_unusable,
}
