"""
The policy file, in TOML::

    [roles]
    releaser = ["read", "archive", "alias"]

    [[grants]]
    to = ["token:trainer", "unix:1000"]
    role = "publisher"
    models = ["team-a/*"]
    until = 2027-01-01T00:00:00Z

    [[issuers]]
    name = "ci"
    issuer = "https://ci.example.com"
    audiences = "https://registry.example.com"

    [[quotas]]
    name = "team-a"
    models = ["team-a/*"]
    archive_bytes = "2 TiB"

Each of its tables has a module that reads it: ``policy_roles``, ``policy_issuers``, ``policy_grants`` and
``policy_quotas``.
"""

import tomllib

from twisted_registry.access.file_kinds import BadFile, FileKind
from twisted_registry.access.policy.grants import read_grants
from twisted_registry.access.policy.issuers import read_issuers
from twisted_registry.access.policy.policy import PolicyRules
from twisted_registry.access.policy.quotas import read_quotas
from twisted_registry.access.policy.reader import PolicyReader
from twisted_registry.access.policy.roles import read_roles
from twisted_registry.access.policy.subjects import KINDS, Subjects, kinds_of_plugin

POLICY_FILE = FileKind("policy", 16 * 2**20, is_trusted=True)
"""The kind of the file."""

_TABLES = (
    "roles",
    "issuers",
    "grants",
    "quotas",
)


def parse_policy(content: bytes, plugin: str = "") -> PolicyRules:
    """
    Read the content of a policy file.

    Args:
        plugin: the name of the authenticator's plugin, whose callers may have grants; empty without one.

    Raises:
        BadFile: something in it is not valid; nothing of it counts then.
    """
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError and TOMLDecodeError
        raise BadFile(f"the policy is not valid TOML: {error}") from None
    reader = PolicyReader()
    reader.check_keys("the policy", document, _TABLES)
    roles = read_roles(reader, document)
    issuers = read_issuers(reader, document, roles)
    kinds = {**KINDS, **(kinds_of_plugin(plugin) if plugin else {})}
    subjects = Subjects([issuer.name for issuer in issuers], kinds)
    rules = PolicyRules(
        roles=roles,
        issuers=issuers,
        grants=read_grants(reader, document, roles, subjects),
        quotas=read_quotas(reader, document, subjects),
    )
    if reader.problems:
        raise BadFile(*reader.problems)
    return rules
