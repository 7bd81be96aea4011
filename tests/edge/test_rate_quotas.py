"""
Tests of the quotas of calls and bytes a second on the wire.
"""

from queue import SimpleQueue
from typing import Any

from tests.edge.test_permissions import CASES
from tests.support.quotas import COGMENT, CREATE, READ, V1, QuotaCase
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import QuotaExceeded
from twisted_registry.domain.access import Action, Scope
from twisted_registry.domain.quotas import Quota
from twisted_registry.protocol.messages import api, v1

HOURLY = Quota("hourly", calls_per_second=1 / 3600)
SLOW = Quota("slow", bytes_per_second=1)


class CallQuotaTests(QuotaCase):
    """
    A quota of calls.
    """

    def test_every_method_counts(self) -> None:
        """
        The second call of any method is refused if one is permitted, except health.
        """
        self.serve([HOURLY])
        for number, case in enumerate(CASES):
            token = f"caller-{number}"
            self.assertIsNone(self.refusal(case.path, case.request("a/none"), token), case.path)
            refusal = self.refusal(case.path, case.request("a/none"), token)
            if Action.NONE in case.actions:
                self.assertIsNone(refusal, case.path)
            else:
                assert refusal is not None, case.path
                self.assertEqual((refusal["quota"], refusal["limit"][:16]), ("hourly", "calls_per_second"))

    def test_model(self) -> None:
        """
        A quota of a prefix is for the calls of both services about its models, and for no others.
        """
        self.serve([Quota("a", scopes=(Scope.parse("a/*"),), is_shared=True, calls_per_second=1 / 3600)])
        requests: dict[str, Any] = {
            f"{COGMENT}/RetrieveVersionInfos": lambda it: api.RetrieveVersionInfosRequest(model_id=it),
            f"{V1}/GetModel": lambda it: v1.GetModelRequest(model_id=it),
            f"{V1}/GetVersion": lambda it: v1.GetVersionRequest(reference=f"{it}@1"),
            f"{V1}/CreateVersion": lambda it: CREATE[f"{V1}/CreateVersion"](it, 1, False),
        }
        self.assertIsNone(self.refusal(f"{V1}/GetModel", v1.GetModelRequest(model_id="a/x")))
        for path, request in requests.items():
            self.assertIsNotNone(self.refusal(path, request("a/y"), "bob"), path)
            self.assertIsNone(self.refusal(path, request("ab"), "bob"), path)

    def test_reload(self) -> None:
        """
        Quotas that are added or removed while the registry serves are applied to the next call.
        """
        registry = self.serve([])
        request = v1.GetModelRequest(model_id="a")
        for quotas in ([], [HOURLY], []):
            registry.use_quotas(quotas)
            refusals = [self.refusal(f"{V1}/GetModel", request) is not None for _ in range(3)]
            self.assertEqual(refusals, [False, bool(quotas), bool(quotas)])


class ByteQuotaTests(QuotaCase):
    """
    A quota of bytes.
    """

    def test_uploads(self) -> None:
        """
        An upload counts with its declared size, before its data is received, and delays what follows.
        """
        self.serve([SLOW])
        self.save("m")
        for path in CREATE:
            for archived in (False, True):
                token = f"{archived}{path[1]}"
                self.assertIsNone(self.create("m", 5000, archived, token, path))
                refusal = self.create("m", 1, archived, token, path)
                assert refusal is not None
                self.assertEqual(refusal["limit"], "bytes_per_second = 1")
                self.assertTrue(4000 < float(refusal["retry_after_seconds"]) < 5000)

    def test_refused_before_the_data(self) -> None:
        """
        An upload is refused when its header has arrived, however long the data takes.
        """
        self.serve([SLOW])
        self.save("m")
        for path, stream in CREATE.items():
            self.create("m", 5000, token=path[1], path=path)
            data: SimpleQueue[Any] = SimpleQueue()
            data.put(stream("m", 10, True)[0])
            self.assertIsNotNone(self.refusal(path, iter(data.get, None), path[1]))
            data.put(None)

    def test_downloads(self) -> None:
        """
        A download counts with its size, from memory and from the archive; a part counts with the part's size.
        """
        self.serve([SLOW])
        self.save("m")
        self.create("m", 5000, archived=False, token="writer")
        self.create("m", 5000, archived=True, token="writer2")
        for path, request in READ.items():
            for number in (1, 2):
                token = f"{path[1]}{number}"
                self.assertIsNone(self.refusal(path, request("m", number), token))
                self.assertIsNotNone(self.refusal(path, request("m", number), token))
        part = v1.ReadVersionRequest(reference="m@2", offset=10, length=1)
        self.assertEqual([self.refusal(f"{V1}/ReadVersion", part, "parts") for _ in range(2)], [None, None])

    def test_copies(self) -> None:
        """
        A copy counts with its size.
        """
        self.serve([SLOW])
        self.save("m", "n")
        self.create("m", 5000, token="writer")
        request = v1.CopyVersionRequest(reference="m@1", model_id="n")
        refusals = [self.refusal(f"{V1}/CopyVersion", request) is None for _ in range(2)]
        self.assertEqual(refusals, [True, False])

    def test_small_calls_are_free(self) -> None:
        """
        A caller in debt can still make calls that move no data.
        """
        self.serve([SLOW])
        self.save("m")
        self.create("m", 5000)
        self.assertIsNone(self.refusal(f"{V1}/GetModel", v1.GetModelRequest(model_id="m")))

    def test_updates_go_on(self) -> None:
        """
        The updates of a caller in debt come later, and are not refused.
        """
        self.serve([SLOW])
        self.save("m")
        self.create("m", 5000, token="reader")
        updates = self.begin(f"{COGMENT}/VersionUpdate", api.VersionUpdateRequest(model_id="m"), "reader")
        for number in (1, 2):
            self.assertEqual(api.VersionUpdateReply.FromString(next(updates)).version_info.version_number, number)
            self.create("m", 1, token=f"writer-{number}")
        updates.cancel()


class ClientTests(QuotaCase):
    """
    The client library meets a quota.
    """

    def test_typed_error(self) -> None:
        """
        It raises the error with the quota's facts.
        """
        self.serve([HOURLY])
        self.tokens.names["ann"] = None
        with BlockingClient(self.registry.address, token="ann", retry_seconds=5) as client:
            client.statuses()
            error = self.assertRaises(QuotaExceeded, client.statuses)
        self.assertEqual((error.quota, error.limit[:16]), ("hourly", "calls_per_second"))
        self.assertTrue(3000 < error.retry_after_seconds <= 3600)

    def test_it_comes_back_in_time(self) -> None:
        """
        It repeats a refused call when the quota permits it, and its caller notices nothing but the delay.
        """
        self.serve([Quota("q", calls_per_second=2)])
        self.tokens.names["ann"] = None
        with BlockingClient(self.registry.address, token="ann") as client:
            for _ in range(4):
                client.statuses()
