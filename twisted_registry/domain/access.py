"""
Access: what callers may do with which models.

A *grant* permits a *role*, which is a set of *actions*, within a *scope*: one model, or all models whose ids begin with
a prefix.  Grants only permit; what no grant permits is denied.  An *identity* is who makes a call.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from attrs import define, field, frozen

from twisted_registry.domain.error_base import shown
from twisted_registry.domain.id_selection import IdSelection

_WILDCARD = "*"
_SEPARATORS = "/-_.:@ "
"""Characters that separate the parts of ids.  A prefix ends with one: ``team-a*`` would also match ``team-ab``."""


class Action(Enum):
    """
    The kind of action of a call.
    """

    NONE = "none"
    """Needs no permission, and no identity: health."""

    IDENTIFY = "identify"
    """Needs an identity, and no permission: the versions of the service, reflection."""

    STATUS = "status"
    """Read the status of the server."""

    READ = "read"
    """List a model, read its metadata, versions, aliases and events."""

    PUBLISH = "publish"
    """Create transient versions."""

    DESCRIBE = "describe"
    """Create a model, or change metadata, labels and metrics."""

    ARCHIVE = "archive"
    """Create archived versions, or archive a transient one."""

    ALIAS = "alias"
    """Move aliases, and archive the version that an alias names."""

    DELETE = "delete"
    """Delete models and versions, also by retention."""

    ADMIN = "admin"
    """Change the registry itself."""


GRANTABLE = frozenset(Action) - {Action.NONE, Action.IDENTIFY}
"""The actions that a role can contain."""

CHANGES = frozenset({Action.PUBLISH, Action.DESCRIBE, Action.ARCHIVE, Action.ALIAS, Action.DELETE, Action.ADMIN})
"""The actions that change something."""

_READER = frozenset({Action.READ, Action.STATUS})
_PUBLISHER = _READER | {Action.PUBLISH, Action.DESCRIBE}
_MAINTAINER = _PUBLISHER | {Action.ARCHIVE, Action.ALIAS, Action.DELETE}

ROLES: Mapping[str, frozenset[Action]] = {
    "reader": _READER,
    "publisher": _PUBLISHER,
    "maintainer": _MAINTAINER,
    "admin": GRANTABLE,
}
"""The built-in roles, each with its actions.  Each contains the ones before it."""


@frozen
class Scope:
    """
    One model, or the models whose ids begin with a prefix.

    Attributes:
        text: the id or the prefix.
        is_prefix: whether it is a prefix; an empty one stands for all models.
    """

    text: str
    is_prefix: bool = False

    @classmethod
    def parse(cls, pattern: str) -> "Scope":
        """
        Parse a pattern: an id, a prefix with its separator such as ``team-a/*``, or ``*``.

        Raises:
            ValueError: it is empty, has a ``*`` elsewhere, or a prefix that does not end with a separator.
        """
        if not pattern:
            raise ValueError("a pattern is empty; write an id, a prefix such as 'team-a/*', or '*' for all models")
        prefix = pattern.removesuffix(_WILDCARD)
        if _WILDCARD in prefix:
            raise ValueError(f"the pattern {shown(pattern)} has a '*' before its end; only a final one is a wildcard")
        if prefix == pattern:
            return cls(pattern)
        if prefix and prefix[-1] not in _SEPARATORS:
            raise ValueError(
                f"the pattern {shown(pattern)} would also match longer names; end the prefix with a separator, such as "
                f"{shown(prefix + '/*')}"
            )
        return cls(prefix, is_prefix=True)

    def __str__(self) -> str:
        return f"{self.text}*" if self.is_prefix else self.text


EVERYTHING = Scope("", is_prefix=True)
"""All models."""


@frozen
class Grant:
    """
    A role within a scope.

    Attributes:
        actions: what it permits.
        scope: the models for which it does.
        until_seconds: when it ends, in seconds since the Unix epoch; ``None`` if it does not.
    """

    actions: frozenset[Action]
    scope: Scope
    until_seconds: float | None = None


@frozen
class Need:
    """
    A permission that a call needs.

    Attributes:
        action: the action.
        scope: the model, or all models with a prefix; ``None`` if the call is not about certain models.
    """

    action: Action
    scope: Scope | None = None


@define
class _Reach:
    """
    The scopes of one action.

    Attributes:
        ids: single models.
        prefixes: prefixes, by their length.
    """

    ids: set[str] = field(factory=set)
    prefixes: dict[int, set[str]] = field(factory=dict)
    _selection: IdSelection | None = field(default=None, init=False)

    def add(self, scope: Scope) -> None:
        if scope.is_prefix:
            self.prefixes.setdefault(len(scope.text), set()).add(scope.text)
        else:
            self.ids.add(scope.text)

    def covers(self, scope: Scope) -> bool:
        text = scope.text
        return self.covers_id(text) if not scope.is_prefix else self._covers_by_prefix(text)

    def covers_id(self, model_id: str) -> bool:
        return model_id in self.ids or self._covers_by_prefix(model_id)

    def _covers_by_prefix(self, text: str) -> bool:
        # There are few lengths, however many prefixes there are.
        for length, prefixes in self.prefixes.items():  # noqa: SIM110 - a generator costs more than it all
            if text[:length] in prefixes:  # not if the text is shorter
                return True
        return False

    def select(self, model_ids: Sequence[str]) -> Sequence[str]:
        if self._selection is None:  # few callers list models
            self._selection = IdSelection(self.ids, (each for prefixes in self.prefixes.values() for each in prefixes))
        return self._selection.select(model_ids)


class Permissions:
    """
    The permissions of one identity, prepared for fast checks: the time of a check does not depend on the number of
    grants.
    """

    def __init__(self, grants: Iterable[Grant]) -> None:
        """

        Args:
            grants: the grants that are in force.
        """
        self._reaches: dict[Action, _Reach] = {}
        for grant in grants:
            for action in grant.actions:
                self._reaches.setdefault(action, _Reach()).add(grant.scope)

    @property
    def is_empty(self) -> bool:
        """
        True if nothing is permitted.
        """
        return not self._reaches

    def allow(self, need: Need) -> bool:
        """
        Return whether a need is permitted.  One without a scope is permitted to those who have the action on any model.
        """
        if need.action in (Action.NONE, Action.IDENTIFY):
            return True
        reach = self._reaches.get(need.action)
        return reach is not None and (need.scope is None or reach.covers(need.scope))

    def allow_on(self, action: Action, model_id: str) -> bool:
        """
        Return whether an action is permitted on a model.
        """
        reach = self._reaches.get(action)
        return reach is not None and reach.covers_id(model_id)

    def allow_everywhere(self, action: Action) -> bool:
        """
        Return whether an action is permitted on all models.
        """
        reach = self._reaches.get(action)
        return reach is not None and 0 in reach.prefixes

    def readable(self, model_ids: Sequence[str]) -> Sequence[str]:
        """
        Return those of a sorted list of models that may be read.  The cost depends on the number of grants, and hardly
        on the length of the list, which must not change afterwards.
        """
        if self.allow_everywhere(Action.READ):
            return model_ids
        reach = self._reaches.get(Action.READ)
        return () if reach is None else reach.select(model_ids)

    def may_read(self, model_id: str) -> bool:
        """
        Return whether a model may be read.
        """
        return self.allow_on(Action.READ, model_id)


Readable = Callable[[Sequence[str]], Sequence[str]]
"""Returns those of a sorted list of models that a caller may read."""


def all_readable(model_ids: Sequence[str]) -> Sequence[str]:
    """
    Return the list as it is, for callers without restrictions.
    """
    return model_ids


def may_read_all(model_id: str) -> bool:
    """
    Return true, for callers without restrictions.
    """
    return True


@frozen
class Identity:
    """
    The author of a call.

    Attributes:
        kind: how it was found out: ``token``, ``jwt``, ``certificate``, ``unix`` or ``anonymous``, or a plugin's word.
        name: the name, unique within its kind.
        token_id: the public part of a token; empty for other kinds.
        groups: further subjects for which the policy may have grants, such as ``unix-group:ml``.
        is_of_token: whether a bearer token of any kind says so.
        grants: grants that came with the credential, in addition to those of the policy.
        ends_seconds: when the credential ends, in seconds since the Unix epoch; ``None`` if it does not.
    """

    kind: str
    name: str
    token_id: str = ""
    groups: tuple[str, ...] = ()
    is_of_token: bool = False
    grants: tuple[Grant, ...] = field(default=(), repr=False)
    ends_seconds: float | None = None

    @property
    def subject(self) -> str:
        """
        The subject under which the policy has grants for it, such as ``token:trainer``.
        """
        return f"{self.kind}:{self.name}"

    @property
    def is_anonymous(self) -> bool:
        """
        True if the caller presented no credentials.
        """
        return self.kind == ANONYMOUS_KIND

    def __str__(self) -> str:
        if self.is_anonymous:
            return "a caller without credentials"
        return f"{self.subject} (token {self.token_id})" if self.token_id else self.subject


ANONYMOUS_KIND = "anonymous"
ANONYMOUS = Identity(ANONYMOUS_KIND, ANONYMOUS_KIND)
"""A caller without credentials."""

SERVER_KIND = "server"
"""The kind under which the audit log names the registry itself."""


@frozen
class Caller:
    """
    An identity with its permissions.

    Attributes:
        identity: who calls.
        permissions: what the caller may do.
        ends_seconds: when this must be found out again, in seconds since the Unix epoch: the credential or a grant ends
            then.  ``None`` if neither does.
    """

    identity: Identity
    permissions: Permissions
    ends_seconds: float | None = None


@frozen
class UnixUser:
    """
    The user who runs the process at the other end of a Unix socket, as the kernel reports it.

    Attributes:
        uid: the number of the user.
        gids: the numbers of the groups of the process.
    """

    uid: int
    gids: tuple[int, ...] = ()


@frozen(cache_hash=True)
class Credentials:
    """
    The credentials that a client presents with a call.

    Attributes:
        token: a bearer token; empty if there is none.
        certificate_names: the names in a verified client certificate, the best first: a SPIFFE id, then DNS names.
        certificate_ends_seconds: when that certificate ends, in seconds since the Unix epoch; ``None`` without one.
        unix_user: the user at the other end of a Unix socket; ``None`` for other connections.
    """

    token: str = field(default="", repr=False)
    certificate_names: tuple[str, ...] = ()
    certificate_ends_seconds: float | None = None
    unix_user: UnixUser | None = None


def roles_with(action: Action, roles: Mapping[str, Any] = ROLES) -> Sequence[str]:
    """
    Return the names of the roles that contain an action.
    """
    return [name for name, actions in roles.items() if action in actions]
