"""
The generator of docs/reference/errors.md.

    python -m tools.errors_page

The codes come from the table of the gRPC edge, the reasons from the names of the errors, and the advice from here.
"""

from pathlib import Path

from attrs import frozen

from twisted_registry.client import errors as client_errors
from twisted_registry.domain import errors
from twisted_registry.protocol.error_map import CODES, REASONS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "errors.md"


@frozen
class Advice:
    """
    The advice on an error.

    Attributes:
        when: the condition that it reports.
        then: the action to take.
        retry: whether the call may be repeated.
    """

    when: str
    then: str
    retry: str


_NUMBERS = "reads go on, and so does `publish` until the numbers that are already safe on disk run out, about a hundred"

SERVER = {
    "InvalidRequest": Advice("the request can never succeed as it is", "fix it as the text says", "no"),
    "InvalidModelId": Advice("the text is not allowed as an id", "choose another id", "no"),
    "InvalidFilter": Advice("a filter or an order has a mistake at `column`", "correct it as the text says", "no"),
    "SizeMismatch": Advice("the data is not as long as `size_bytes`", "pass the right size", "no"),
    "HashMismatch": Advice(
        "the data does not have the declared hash; this client declares one with an `idempotency_key`",
        "declare the right hash, and do not change the data while it is sent",
        "after that",
    ),
    "NotAuthenticated": Advice(
        "the registry, or a proxy (HTTP 401), does not accept the credentials, or wants some",
        "use a valid token or certificate",
        "with other credentials",
    ),
    "NotPermitted": Advice(
        "the caller lacks a permission, or a proxy does not allow the call (HTTP 403)",
        "ask for the permission, or use other credentials",
        "with other credentials",
    ),
    "AuditUnavailable": Advice(
        "the registry cannot write its audit log, and the act must be recorded; it was not done",
        "make space for the log, or repair it",
        "later",
    ),
    "UnknownModel": Advice("the model does not exist", "create it with `ensure_model`", "after that"),
    "UnknownVersion": Advice("the version does not exist, or was evicted", "use a newer one", "with another version"),
    "UnknownAlias": Advice(
        "the model has no such alias", "use a number or another alias; write an `@` of an id as `%40`", "after that"
    ),
    "AliasMoved": Advice(
        "the alias does not name the expected version, which is `expected_number`",
        "look at what has moved it, then expect `present_number`",
        "with another number",
    ),
    "AliasedVersion": Advice(
        "the version cannot be deleted while `alias` names it", "move or delete the alias", "after that"
    ),
    "TooManyAliases": Advice(
        "the model has `max_aliases` aliases, and this one would be new",
        "delete aliases that nobody needs, or use labels",
        "after that",
    ),
    "ModelExists": Advice("there is such a model already", "update it, or use `ensure_model`", "no"),
    "EtagChanged": Advice(
        "the model has changed since it was read",
        "read it again, then change it with its new etag",
        "with the new etag",
    ),
    "CursorExpired": Advice(
        "events after the cursor are no longer kept",
        "watch without a cursor, then list what may have changed",
        "without a cursor",
    ),
    "UnsupportedByArchive": Advice(
        "the archive cannot change a version after its creation", "use another archive provider", "no"
    ),
    "ModelReplaced": Advice(
        "the model was deleted while a version was created or the model was followed", "find out who deletes it", "yes"
    ),
    "TooLarge": Advice("the request exceeds a limit of the server", "send less, or raise the limit", "no"),
    "Overloaded": Advice("the server has no capacity now", "wait", "yes"),
    "QuotaExceeded": Advice(
        "`limit` of the quota `quota` is exceeded",
        "wait `retry_after_seconds`; if it is 0, delete versions, or ask for a larger quota",
        "after that time, if it is not 0",
    ),
    "Stalled": Advice(
        "an upload brought almost nothing for too long", "produce the data faster, or collect it first", "yes"
    ),
    "OutOfRange": Advice(
        "the version's data ends before `offset`",
        "read from a lower offset, or from 0 if the part that you hold is of another version",
        "with another offset",
    ),
    "WrongOffset": Advice(
        "an upload cannot go on at `offset`, because the data before it is not kept",
        "ask `GetUpload` how much is kept and whether the version exists already, then send the rest",
        "with another offset",
    ),
    "UploadTakenOver": Advice(
        "another call with the same idempotency key goes on with this upload", "leave it to that call", "no"
    ),
    "NumberTaken": Advice(
        "another program wrote a version with this number into the archive, and the server could not use a higher one",
        "create the version again",
        "yes",
    ),
    "NumbersExhausted": Advice("the model has used all numbers", "continue under another id", "no"),
    "StorageFull": Advice(
        "the server's disk is full; nothing was stored",
        f"delete versions with `prune`, or free space; {_NUMBERS}",
        "after that",
    ),
    "StorageReadOnly": Advice(
        "the server's archive cannot be written; nothing was stored", f"check the disk; {_NUMBERS}", "after that"
    ),
    "ArchiveMoved": Advice(
        "the archive directory was renamed, removed, unmounted or mounted over; nothing was stored",
        "put it back, or restart the registry",
        "after that",
    ),
    "ArchiveChanged": Advice(
        "the server serves another archive than the one that this client has worked with; nothing was done",
        "check `--archive-dir` and whether the disk is mounted; if the change is intended, create a new client",
        "once the archive is back",
    ),
    "StorageFailure": Advice("the server's disk failed; nothing was done", "check the disk", "after that"),
    "StorageUnavailable": Advice(
        "the server cannot read its disk now; nothing is known to be damaged",
        "wait; if it lasts, check the disk",
        "yes",
    ),
    "TooManyOpenFiles": Advice("the server has no file descriptor left", "raise its limit", "yes"),
    "CommitUncertain": Advice(
        "the disk failed so late that the version may exist after a restart", "check the disk", "look first"
    ),
    "Unavailable": Advice(
        "the server is away, starting or stopping, still reads the versions that a search needs, or cannot determine "
        "now who calls, because an issuer is down; `Unreachable` is a special case",
        "wait",
        "yes; after `delete_model` look first",
    ),
    "SignInsThrottled": Advice(
        "wrong credentials came from the caller's address too often, so its own were not checked; nothing was done",
        "stop the client that sends wrong ones, then wait `retry_after_seconds`",
        "yes",
    ),
    "CorruptModel": Advice(
        "the model's metadata is damaged, or its directory is missing or a link",
        "follow the text: `save_model` writes the metadata again; it creates a missing model again, without versions",
        "after that",
    ),
    "CorruptVersion": Advice(
        "the version is damaged on the server's disk", "use another version; `delete_version` deletes it", "no"
    ),
    "CorruptAnnotations": Advice(
        "the labels and metrics of a version are damaged on the server's disk",
        "replace all of them: `annotate(replace=True)`, `twisted-registry label --replace`, or the mask `*`",
        "after that",
    ),
    "CorruptAliases": Advice(
        "the history of the model's aliases is damaged on the server's disk, so its versions are not deleted",
        "set those aliases again that are wrong; then stop the daemon and `archive verify --quarantine`",
        "after that",
    ),
    "CorruptRetention": Advice(
        "retention policies are damaged on the server's disk",
        "set that of a model again; for those of prefixes, stop the daemon and `archive verify --quarantine` first",
        "after that",
    ),
}
"""The errors that a server reports."""

CLIENT = {
    "Unreachable": Advice("no connection; nothing was sent", "check the server and its address", "yes"),
    "CertificateRefused": Advice(
        "the server's certificate is not accepted; raised at once",
        "trust its authority or expect its name: see [TLS](../guides/client.md#tls-and-tokens)",
        "after that",
    ),
    "TlsFailed": Advice(
        "the server speaks TLS and the client does not, or the reverse, or the client's own certificates cannot be "
        "used; raised at once",
        "do what the text says",
        "after that",
    ),
    "ClientCertificateRefused": Advice(
        "the server disconnects: it requires a client certificate, or does not accept this one",
        "pass one that is valid, of an authority that the server trusts",
        "as `Unavailable`",
    ),
    "TokenUnusable": Advice(
        "the client's token cannot be read or sent; nothing was sent",
        "check the file, or run `twisted-registry login`",
        "after that",
    ),
    "ProxyUnavailable": Advice(
        "a proxy cannot reach the server, or accepts no more calls (HTTP 429, 500, 502, 503, 504, in `http_status`)",
        "wait; see the proxy's log",
        "as `Unavailable`",
    ),
    "ProxyRefused": Advice(
        "a proxy answered instead of the server (such as HTTP 413, in `http_status`); raised at once",
        "change the [proxy's settings](../guides/proxies.md) as the text says",
        "after that",
    ),
    "DeadlineExceeded": Advice(
        "the answer did not come in time", "allow more time", "reads: yes; a creation: look first"
    ),
    "CreationUncertain": Advice(
        "the connection was lost after everything was sent, and the version does not exist so far (`is_absent`) or the "
        "server could not be asked",
        "look at the latest versions",
        "look first",
    ),
    "DataChanged": Advice(
        "a file was written to while it was sent; nothing was created", "save under another name and rename", "yes"
    ),
    "BadReply": Advice(
        "the server answered something that was not asked or cannot be, or its reply is compressed or too large",
        "check the address, and what is between; nothing of the reply was used",
        "reads: yes; a creation: look first",
    ),
    "CorruptTransfer": Advice(
        "the received data is not the data that was sent",
        "transfer it again",
        "yes; a creation has left a version with wrong bytes",
    ),
    "IncidentReported": Advice(
        "a bug in the server", "search its log for the id in the text", "reads: yes; a creation: look first"
    ),
    "Unsupported": Advice("the server does not know the call", "check the address", "no"),
    "NoMatchingVersion": Advice(
        "the model has no version that matches `filter`", "use another filter or metric", "with another filter"
    ),
    "ClientUnusable": Advice(
        "the client is closed, or was closed during the call; it belongs to another event loop, or to the parent of a "
        "forked process; an iterator cannot continue",
        "create another client",
        "with another client",
    ),
}
"""The errors that only a client can raise."""

START = {
    "CannotStart": Advice("a setting or the archive does not allow a start", "follow the text", "after that"),
    "ArchiveTaken": Advice("another daemon has the archive open", "stop one of them", "after that"),
}
"""The errors that end a daemon, and that no client sees."""

_INTRODUCTION = """# Errors

<!-- Generated by 'python -m tools.errors_page': edit that. -->

The Python client raises these errors. All are classes of `twisted_registry.client.errors` below `RegistryError`, with
their facts as attributes. A client in another language sees the gRPC code, a text that says what to do, and the
*reason* in the [error details](wire-protocol.md#beside-the-messages).

"Look first" means: list the latest versions and check by `created_ns` and `sha256` whether yours exists."""

_OTHERS = """## Others

- `OSError`: a local file cannot be read or written.
- `TypeError`: the data is not bytes.
- `ValueError`: the client cannot be created with these arguments: an invalid address, for example, or a token that is
  too long or would cross a network without encryption.
- The code `INTERNAL` reports a bug of the server. Its text has an incident id, and the server's log has the rest."""


def _table(advices: dict[str, Advice], *, is_sent: bool) -> str:
    reasons = {kind.__name__: reason for reason, kind in REASONS.items()}
    rows = [("error", *(("gRPC code", "reason") if is_sent else ()), "when", "what to do", "safe to retry")]
    rows.append(("---",) * len(rows[0]))
    for name, advice in advices.items():
        wire = (f"`{CODES[getattr(errors, name)]}`", f"`{reasons[name]}`") if is_sent else ()
        rows.append((f"`{name}`", *wire, advice.when, advice.then, advice.retry))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def page() -> str:
    """
    Return the text of the page.
    """
    return "\n\n".join(
        (
            _INTRODUCTION,
            "## Errors of the server",
            _table(SERVER, is_sent=True),
            "## Errors of the client",
            _table(CLIENT, is_sent=False),
            "## Errors of a start\n\nThese end the daemon with a line on stderr. No client sees them.",
            _table(START, is_sent=False),
            _OTHERS,
        )
    )


def known() -> set[str]:
    """
    Return the names of all errors, except for their base.
    """
    kinds = [*vars(errors).values(), *vars(client_errors).values()]
    return {
        kind.__name__
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, errors.RegistryError) and kind is not errors.RegistryError
    }


def main() -> None:
    """
    Write the page.
    """
    PAGE.write_text(f"{page()}\n")


if __name__ == "__main__":
    main()
