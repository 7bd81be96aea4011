"""
The tables ``[[issuers]]`` of the policy: whose JSON Web Tokens are accepted, and for what.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twisted_registry.access.issuers.issuer import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    DEFAULT_LIFETIME_SECONDS,
    ClaimCondition,
    ClaimGrants,
    Issuer,
    KeySource,
    check_url,
)
from twisted_registry.access.policy.reader import PolicyReader, Table
from twisted_registry.access.policy.roles import Roles, role_of
from twisted_registry.domain.access import Grant
from twisted_registry.domain.errors import shown

_KEYS = (
    "name",
    "issuer",
    "audiences",
    "algorithms",
    "keys_file",
    "keys_url",
    "keys_ca_file",
    "keys_token_file",
    "name_claim",
    "max_lifetime_seconds",
    "grants",
)
_GRANT_KEYS = ("claims", "role", "models", "until")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LIFETIMES = range(60, 31 * 24 * 3600 + 1)


def read_issuers(reader: PolicyReader, document: Table, roles: Roles) -> Sequence[Issuer]:
    """
    Return the issuers of a policy.
    """
    tables = enumerate(reader.tables(document, "issuers"), 1)
    found = [_issuer(reader, f"issuer {number}", table, roles) for number, table in tables]
    issuers = [issuer for issuer in found if issuer is not None]
    for what, values in (("name", [it.name for it in issuers]), ("issuer", [it.issuer for it in issuers])):
        for twice in {value for value in values if values.count(value) > 1}:
            reader.refuse(f"several issuers have the {what} {shown(twice)}; put everything about it into one")
    return issuers


def _issuer(reader: PolicyReader, where: str, table: Table, roles: Roles) -> Issuer | None:
    before = len(reader.problems)
    reader.check_keys(where, table, _KEYS)
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        reader.refuse(f"{where} has the name {shown(name)}; expected small letters, digits and hyphens")
    else:
        where = f"{where} ({name})"
    audiences = reader.texts(where, table, "audiences")
    algorithms = _algorithms(reader, where, table)
    keys = _keys(reader, where, table)
    name_claim = _text(reader, where, table, "name_claim") or "sub"
    lifetime = _lifetime(reader, where, table)
    grants = _grants(reader, where, table, roles)
    if len(reader.problems) > before:
        return None
    issuer = Issuer(
        name=str(name),
        issuer=keys.issuer,
        audiences=frozenset(audiences),
        keys=keys,
        algorithms=algorithms,
        name_claim=name_claim,
        max_lifetime_seconds=lifetime,
        grants=grants,
    )
    return issuer


def _text(reader: PolicyReader, where: str, table: Table, key: str, *, is_required: bool = False) -> str:
    value = table.get(key, None if is_required else "")
    if isinstance(value, str) and (value or key not in table) and value.isprintable():
        return value
    reader.refuse(f"{where} needs {key!r}: a printable text")
    return ""


def _algorithms(reader: PolicyReader, where: str, table: Table) -> frozenset[str]:
    if "algorithms" not in table:
        return frozenset(DEFAULT_ALGORITHMS)
    names = reader.texts(where, table, "algorithms")
    for name in names:
        if name not in ALGORITHMS:
            reader.refuse(f"{where} has the algorithm {shown(name)}; expected one of {', '.join(ALGORITHMS)}")
    return frozenset(names)


def _keys(reader: PolicyReader, where: str, table: Table) -> KeySource:
    issuer = _text(reader, where, table, "issuer", is_required=True)
    given = {key: _text(reader, where, table, f"keys_{key}") for key in ("file", "url", "ca_file", "token_file")}
    if given["file"] and (given["url"] or given["ca_file"] or given["token_file"]):
        reader.refuse(f"{where} has 'keys_file' and what is for keys from a server; leave out one of them")
    elif given["url"]:
        _check_url(reader, f"{where} has a 'keys_url' that cannot be used", given["url"])
    elif issuer and not given["file"]:
        # The issuer's OpenID configuration says where its keys are.
        _check_url(
            reader, f"{where} has neither 'keys_file' nor 'keys_url', and its issuer has no configuration", issuer
        )
    return KeySource(issuer, **given)


def _check_url(reader: PolicyReader, problem: str, url: str) -> None:
    try:
        check_url(url)
    except ValueError as error:
        reader.refuse(f"{problem}: {error}")


def _lifetime(reader: PolicyReader, where: str, table: Table) -> int:
    value = table.get("max_lifetime_seconds", DEFAULT_LIFETIME_SECONDS)
    if isinstance(value, int) and not isinstance(value, bool) and value in _LIFETIMES:
        return value
    reader.refuse(
        f"{where} has 'max_lifetime_seconds' {shown(value)}; expected a whole number from {_LIFETIMES[0]} to "
        f"{_LIFETIMES[-1]}"
    )
    return DEFAULT_LIFETIME_SECONDS


def _grants(reader: PolicyReader, where: str, table: Table, roles: Roles) -> Sequence[ClaimGrants]:
    found = []
    for number, given in enumerate(reader.tables(table, "grants", "issuers.grants"), 1):
        within = f"{where}, grant {number}"
        reader.check_keys(within, given, _GRANT_KEYS)
        conditions = tuple(_conditions(reader, within, given.get("claims")))
        actions = role_of(reader, within, given, roles)
        until = reader.time(within, given, "until")
        scopes = [*reader.scopes(within, given)]
        if actions is not None:
            found.append(ClaimGrants(conditions, tuple(Grant(actions, scope, until) for scope in scopes)))
    return found


def _conditions(reader: PolicyReader, where: str, claims: Any) -> Iterator[ClaimCondition]:
    if isinstance(claims, dict) and claims:
        yield from _conditions_in(reader, where, claims, ())
    else:
        reader.refuse(f"{where} needs 'claims': a table such as {{ groups = 'ml-team' }}")


def _conditions_in(
    reader: PolicyReader, where: str, claims: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[ClaimCondition]:
    for key, value in claims.items():
        below = (*path, key)
        if isinstance(value, dict) and value:
            yield from _conditions_in(reader, where, value, below)
            continue
        accepted = value if isinstance(value, list) else [value]
        if not accepted or not all(isinstance(each, str | bool) for each in accepted):
            reader.refuse(f"{where} needs a text, true, false, or a list of these for the claim {shown(key)}")
        for each in accepted:
            if isinstance(each, str) and each.endswith("*") and (each == "*" or each[-2].isalnum()):
                reader.refuse(
                    f"{where} accepts {shown(each)} in the claim {shown(key)}, which would also match longer texts; "
                    "end the prefix with a separator, such as '/*'"
                )
        yield ClaimCondition(below, tuple(accepted))
