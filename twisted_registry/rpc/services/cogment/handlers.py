"""
The nine calls of ``cogmentAPI.ModelRegistrySP``: each decodes its request, runs a use case, and encodes the result.
"""

from collections.abc import Mapping

from attrs import field, frozen

from twisted_registry.application.commands import Commands
from twisted_registry.application.downloads import Downloads
from twisted_registry.application.followers import Followers, Following
from twisted_registry.application.pagination import Lists, ModelsQuery
from twisted_registry.application.replies import ListReplies, ReplyCache, account_for
from twisted_registry.application.status import ServerStatus
from twisted_registry.application.subscriptions import Subscriptions
from twisted_registry.application.uploads import Uploads
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.idempotency import key_of_caller
from twisted_registry.protocol.call_metadata import checksum_metadata, idempotency_key_in
from twisted_registry.rpc.budgets import COUNTED_BYTES, ReplyBudget
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.caller_status import caller_status
from twisted_registry.rpc.interceptors.idle_timeout import RequestStream
from twisted_registry.rpc.services.cogment import codec


@frozen
class Handlers:
    """
    The handlers of the calls.  Most take and return raw bytes: a version's data never passes through protobuf, and a
    cached reply is sent unchanged.
    """

    _commands: Commands
    _lists: Lists
    _list_replies: ListReplies
    _reply_cache: ReplyCache
    _uploads: Uploads
    _downloads: Downloads
    _subscriptions: Subscriptions
    _followers: Followers
    _status: ServerStatus
    _versions: Mapping[str, str]
    _reply_budget: ReplyBudget
    _updates: codec.UpdateEncoder = field(factory=codec.UpdateEncoder)

    async def create_or_update_model(self, raw: bytes, call: CallContext) -> bytes:
        """
        Create a model, or replace its metadata.
        """
        info = codec.model_to_save(raw)
        call.note(model_id=info.model_id)
        await self._commands.save_model(info)
        return codec.SAVED_REPLY

    async def delete_model(self, raw: bytes, call: CallContext) -> bytes:
        """
        Delete a model and all its versions.
        """
        model_id = codec.model_to_delete(raw)
        call.note(model_id=model_id)
        await self._commands.delete_model(model_id)
        return codec.DELETED_REPLY

    async def retrieve_models(self, query: ModelsQuery, call: CallContext) -> bytes:
        """
        List all models, or those that the request names.
        """
        models = await self._lists.models(query, call.readable)

        async def make() -> bytes:
            page = codec.models_page()
            end = await models.write(page.add)
            return page.reply(end.next_handle)

        return await self._list_replies.make(self._reply_budget.receiver(call), models.length, make)

    async def retrieve_version_infos(self, raw: bytes, call: CallContext) -> bytes:
        """
        List all versions of a model, or those that the request names.
        """
        known = self._reply_cache.find(raw)
        if known is not None:
            if len(known) < COUNTED_BYTES:
                return known
            receiver = self._reply_budget.receiver(call)
            receiver.count(len(known))
            return await account_for(receiver, known)
        versions = await self._lists.versions(codec.versions_query(raw))

        async def make() -> bytes:
            page = codec.versions_page()
            end = await versions.write(page.add)
            reply = page.reply(end.next_handle)
            if end.is_complete:
                self._reply_cache.keep(raw, versions.snapshot, reply)
            return reply

        return await self._list_replies.make(self._reply_budget.receiver(call), versions.length, make)

    async def create_version(self, messages: RequestStream, call: CallContext) -> bytes:
        """
        Create a version from the data that the client sends.
        """
        header = await messages.header()
        if header is None:
            raise InvalidRequest("the stream is empty; it must begin with a header")
        call.note(model_id=header.model_id, archived=header.archived)
        key = key_of_caller(idempotency_key_in(call.metadata), call.actor)
        info = await self._uploads.create(
            header, messages.read, codec.body_chunk, call.seen(header.model_id), key, call.actor
        )
        call.note(version_number=info.version_number, size_bytes=info.size_bytes, sha256=info.sha256)
        call.set_trailing_metadata(checksum_metadata(info.size_bytes, info.sha256, info.xxh3))
        return await account_for(self._reply_budget.receiver(call), codec.created_reply(info))

    async def retrieve_version_data(self, raw: bytes, call: CallContext) -> None:
        """
        Send a version's data.
        """
        sent = await self._downloads.send(codec.version_reference(raw), self._reply_budget.receiver(call))
        call.set_trailing_metadata(checksum_metadata(sent.info.size_bytes, sent.info.sha256, sent.xxh3))
        call.note_used(sent.info)

    async def version_update(self, raw: bytes, call: CallContext) -> None:
        """
        Send the latest version's info, and that of each newer one.
        """
        model_id = codec.model_to_follow(raw)
        following = Following(model_id, call.method.name, call.actor, call.peer)
        subscribed = self._subscriptions.subscribe(model_id, call.seen(model_id))
        with self._followers.add(following) as follower, subscribed as subscription:
            while True:
                info = await subscription.next()
                await self._reply_budget.write(call, self._updates.update(info))
                subscription.note_sent()
                follower.note_sent(info.version_number)
                if call.span is not None:
                    call.span.link(info)

    async def version(self, raw: bytes, call: CallContext) -> bytes:
        """
        Return the versions of the service, and of the libraries that it runs on.
        """
        codec.check_version_request(raw)
        return codec.versions_reply(self._versions)

    async def status(self, raw: bytes, call: CallContext) -> bytes:
        """
        Return the status of the server, and who the caller is for it.
        """
        names = codec.status_names(raw)
        of_server = await self._status.read(names)
        return codec.status_reply({**of_server, **caller_status(call.caller, names)})
