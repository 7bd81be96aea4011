"""
A registry that does one thing at a time, on the states of ``acts``, with the paging and the refusals of the wire.
"""

import re
from collections.abc import Sequence

from attrs import define, field, frozen
from grpc import StatusCode

from tests.robustness.oracles.acts import (
    ABSENT,
    Act,
    CreateVersion,
    DeleteModel,
    Reply,
    Restart,
    SaveModel,
    State,
    Version,
    items,
)
from tests.support.client import data_hash
from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import check_model_id

_DECIMAL = re.compile(r"[0-9]+", re.ASCII)


class Refused(Exception):
    """
    A call is refused.
    """

    def __init__(self, code: StatusCode) -> None:
        super().__init__(code)
        self.code = code


@frozen
class Upload:
    """
    A creation.

    Attributes:
        size_bytes: the declared size.
        data_hash: the declared hash.
    """

    data: bytes
    archived: bool
    size_bytes: int
    data_hash: str
    user_data: dict[str, str]
    created_ns: int = 0


def _check(holds: bool, code: StatusCode) -> None:
    if not holds:
        raise Refused(code)


@define
class Reference:
    """
    All nine calls, as the specification has them.

    Attributes:
        models: the state of each model that exists.
    """

    models: dict[str, State] = field(factory=dict)
    _data: dict[str, bytes] = field(factory=dict)

    def _do(self, model_id: str, act: Act, reply: Reply = None) -> None:
        before = self.models.get(model_id, ABSENT)
        assert act.fits(before, reply), f"{act} of {model_id!r} cannot end with {reply} after {before}"
        after = act.apply(before, reply)
        self.models.pop(model_id, None)
        if after.exists:
            self.models[model_id] = after

    def save_model(self, model_id: str, user_data: dict[str, str]) -> None:
        """
        ``CreateOrUpdateModel``.
        """
        try:
            check_model_id(model_id)
        except InvalidModelId:
            raise Refused(StatusCode.INVALID_ARGUMENT) from None
        self._do(model_id, SaveModel(items(user_data)))

    def model(self, model_id: str) -> State:
        """
        Return an existing model.
        """
        _check(model_id in self.models, StatusCode.NOT_FOUND)
        return self.models[model_id]

    def delete_model(self, model_id: str) -> None:
        """
        ``DeleteModel``.
        """
        self.model(model_id)
        self._do(model_id, DeleteModel())

    def list_models(self, asked: Sequence[str], count: int, handle: str) -> tuple[list[str], str]:
        """
        ``RetrieveModels``, of all models that the reference knows.
        """
        _check(not handle or _DECIMAL.fullmatch(handle) is not None, StatusCode.INVALID_ARGUMENT)
        for model_id in asked:
            self.model(model_id)
        offset = int(handle or "0")
        page = list(asked or sorted(self.models))[offset:]
        page = page[:count] if count else page
        return page, str(offset + len(page)) if page else handle or "0"

    def check_upload(self, model_id: str, upload: Upload) -> None:
        """
        ``CreateVersion``, up to where the version gets its number.
        """
        self.model(model_id)
        _check(upload.size_bytes == len(upload.data), StatusCode.INVALID_ARGUMENT)
        _check(upload.data_hash in ("", data_hash(upload.data)), StatusCode.INVALID_ARGUMENT)

    def create(self, model_id: str, upload: Upload, created: Version) -> None:
        """
        The rest of ``CreateVersion``.

        Args:
            created: the version in the reply.

        Raises:
            AssertionError: it should have been another one.
        """
        sha256 = data_hash(upload.data)
        metadata = items(upload.user_data)
        sent = Version(0, sha256, len(upload.data), upload.archived, metadata, upload.created_ns)
        self._do(model_id, CreateVersion(sent), created)
        self._data[sha256] = upload.data

    def data(self, model_id: str, selector: int) -> bytes:
        """
        ``RetrieveVersionData``.
        """
        return self._data[self.select(model_id, selector).sha256]

    def select(self, model_id: str, selector: int) -> Version:
        """
        Return the version that a number or a negative selector means.
        """
        state = self.model(model_id)
        if selector < 0:
            _check(-selector <= len(state.versions), StatusCode.NOT_FOUND)
            return state.versions[selector]
        version = state.version(selector)
        if version is None:
            raise Refused(StatusCode.NOT_FOUND)
        return version

    def list_versions(self, model_id: str, count: int, handle: str) -> tuple[list[Version], str]:
        """
        ``RetrieveVersionInfos`` without numbers.
        """
        _check(not handle or _DECIMAL.fullmatch(handle) is not None, StatusCode.INVALID_ARGUMENT)
        versions = [version for version in self.model(model_id).versions if version.number >= int(handle or "0")]
        page = versions[:count] if count else versions
        return page, str(page[-1].number + 1) if page else handle or "0"

    def select_versions(self, model_id: str, selectors: Sequence[int], handle: str) -> tuple[list[Version], str]:
        """
        ``RetrieveVersionInfos`` with numbers and no count, from the beginning.
        """
        _check(handle in ("", "0"), StatusCode.INVALID_ARGUMENT)
        versions = [self.select(model_id, selector) for selector in selectors]
        return versions, str(versions[-1].number + 1)

    def latest(self, model_id: str) -> Version | None:
        """
        Return the first version for a new subscriber; ``None`` if there is none yet.
        """
        return next(reversed(self.model(model_id).versions), None)

    def restart(self, clean: bool) -> None:
        """
        All that is transient is lost.
        """
        for model_id in self.models:
            self.models[model_id] = Restart(clean).apply(self.models[model_id], None)
