"""
Tests of creating, replacing and deleting models.
"""

from functools import partial

from grpc import StatusCode

from tests.support.archive_files import all_files
from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_case import RegistryTestCase
from twisted_registry.protocol.messages import api

VERSIONS_TO_DELETE = 20


class CreateOrUpdateModelTests(SharedEdgeTestCase):
    """
    ``CreateOrUpdateModel``.
    """

    def user_data(self) -> dict[str, str]:
        """
        Return the metadata of the test's model.
        """
        return dict(self.client.models(self.model_id).model_infos[0].user_data)

    def test_makes_a_model(self) -> None:
        """
        A new model exists, with its metadata and without versions.
        """
        self.client.save_model(self.model_id, framework="torch")
        self.assertEqual(self.user_data(), {"framework": "torch"})
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])

    def test_replaces_the_whole_user_data(self) -> None:
        """
        Old metadata that is not in the new metadata is gone.
        """
        self.client.save_model(self.model_id, old="1", both="1")
        self.client.save_model(self.model_id, new="2", both="2")
        self.assertEqual(self.user_data(), {"new": "2", "both": "2"})

    def test_leaves_versions_alone(self) -> None:
        """
        Replacing a model's metadata changes neither its transient nor its archived versions.
        """
        self.client.save_model(self.model_id)
        created = [self.client.create(self.model_id, b"data", archived=archived) for archived in (False, True)]
        self.client.save_model(self.model_id, new="1")
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), created)

    def test_needs_a_model_info(self) -> None:
        """
        A request without model_info is refused.
        """
        for request in (api.CreateOrUpdateModelRequest(), b""):
            self.assert_refused(
                StatusCode.INVALID_ARGUMENT, partial(self.client.call, "CreateOrUpdateModel", request), "model_info"
            )


class DurableModelTests(RegistryTestCase):
    """
    Models that survive a crash.
    """

    def test_is_durable_before_the_reply(self) -> None:
        """
        A model, and its newer metadata, survive a kill of the daemon right after the reply.
        """
        self.client.save_model("made", a="1")
        self.client.save_model("updated", a="1")
        self.client.save_model("updated", b="2")
        self.crash()
        infos = {info.model_id: dict(info.user_data) for info in self.client.models().model_infos}
        self.assertEqual(infos, {"made": {"a": "1"}, "updated": {"b": "2"}})

    def test_deletion_is_durable_before_the_reply(self) -> None:
        """
        A deleted model stays deleted if the daemon is killed right after the reply, and so do its numbers.
        """
        self.client.save_model("m")
        self.client.create("m", b"archived", archived=True)
        self.client.delete_model("m")
        self.crash()
        self.assertEqual(list(self.client.models().model_infos), [])
        self.client.save_model("m")
        self.assertEqual(list(self.client.infos("m").version_infos), [])
        self.assertEqual(self.client.create("m", b"new").version_number, 1)

    def test_crash_during_deletion_leaves_it_whole_or_gone(self) -> None:
        """
        After a crash during a deletion, the model has all its versions or does not exist.
        """
        self.client.save_model("m", a="1")
        for number in range(VERSIONS_TO_DELETE):
            self.client.create("m", b"%d" % number, archived=True)
        deletion = self.client.begin("DeleteModel", api.DeleteModelRequest(model_id="m"))
        self.crash()
        deletion.cancel()
        if self.client.models().model_infos:
            self.assertEqual(dict(self.client.models("m").model_infos[0].user_data), {"a": "1"})
            versions = [self.client.data("m", number + 1) for number in range(VERSIONS_TO_DELETE)]
            self.assertEqual(versions, [b"%d" % number for number in range(VERSIONS_TO_DELETE)])
        else:
            self.assertEqual([name for name in all_files(self.archive) if not name.startswith(".0/")], [])


class DeleteModelTests(SharedEdgeTestCase):
    """
    ``DeleteModel``.
    """

    def assert_gone(self) -> None:
        """
        Check that no call knows the test's model.
        """
        for call in (
            lambda: self.client.models(self.model_id),
            lambda: self.client.infos(self.model_id),
            lambda: self.client.infos(self.model_id, 1),
            lambda: self.client.data(self.model_id, 1),
            lambda: self.client.create(self.model_id, b""),
            lambda: list(self.client.updates(self.model_id)),
            lambda: self.client.delete_model(self.model_id),
        ):
            self.assert_refused(StatusCode.NOT_FOUND, call, self.model_id)

    def test_unknown_model(self) -> None:
        """
        A model that never existed is NOT_FOUND for every call.
        """
        self.assert_gone()

    def test_takes_the_model_with_all_versions(self) -> None:
        """
        A deleted model is gone for every call, and from the archive, with its transient and archived versions.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"transient")
        self.client.create(self.model_id, b"archived", archived=True)
        self.client.delete_model(self.model_id)
        self.assert_gone()
        listed = [info.model_id for info in self.client.models().model_infos]
        self.assertNotIn(self.model_id, listed)
        self.assertFalse((self.archive / self.model_id).exists())

    def test_frees_memory(self) -> None:
        """
        A deleted model's versions release their memory.
        """
        self.client.save_model(self.model_id)
        before = self.client.statuses("versions_in_memory", "bytes_in_memory")
        self.client.create(self.model_id, b"transient")
        self.client.create(self.model_id, b"archived", archived=True)
        self.client.delete_model(self.model_id)
        self.assertEqual(self.client.statuses("versions_in_memory", "bytes_in_memory"), before)

    def test_recreated_model_has_nothing_of_the_old(self) -> None:
        """
        A model created again under the same id has no versions, and its numbers start at 1.
        """
        self.client.save_model(self.model_id, old="1")
        for archived in (False, True, False):
            self.client.create(self.model_id, b"old", archived=archived)
        self.client.delete_model(self.model_id)
        self.client.save_model(self.model_id)
        self.assertEqual(dict(self.client.models(self.model_id).model_infos[0].user_data), {})
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])
        self.assertEqual(self.client.create(self.model_id, b"new", archived=True).version_number, 1)
        self.assertEqual(self.client.data(self.model_id, 1), b"new")

    def test_ends_streams_of_updates(self) -> None:
        """
        A stream of updates ends with NOT_FOUND when its model is deleted.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"data")
        updates = self.client.updates(self.model_id)
        next(updates)
        self.client.delete_model(self.model_id)
        self.assert_refused(StatusCode.NOT_FOUND, lambda: next(updates), self.model_id)
