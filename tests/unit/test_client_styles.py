"""
Tests of the three faces of the client, of pickling, and of addresses.
"""

import copy
import inspect
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.styles import PumpedReactor
from tools import faces
from twisted_registry.client import BlockingClient, Client, DeferredClient, Tls
from twisted_registry.client._transport.addresses import Address


def methods_of(kind: type) -> dict[str, Callable[..., object]]:
    """
    Return a class's public methods, inherited ones included.
    """
    return {name: member for name, member in inspect.getmembers(kind, callable) if not name.startswith("_")}


def parameters_of(function: Callable[..., object]) -> list[tuple[str, object, object]]:
    """
    Return the names, the kinds and the defaults of a function's parameters.
    """
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters if each.name not in ("self", "reactor")]


class StyleTests(SynchronousTestCase):
    """
    ``Client``, ``BlockingClient`` and ``DeferredClient``.
    """

    def test_same_methods(self) -> None:
        """
        Each style has the methods of the asynchronous one, and no others.
        """
        for style in (BlockingClient, DeferredClient):
            self.assertEqual(set(methods_of(style)), set(methods_of(Client)))

    def test_same_parameters(self) -> None:
        """
        Each method takes the same parameters with the same defaults in each style; so does making a client.
        """
        for style in (BlockingClient, DeferredClient):
            for name, method in [("__init__", style.__init__), *methods_of(style).items()]:
                self.assertEqual(parameters_of(method), parameters_of(getattr(Client, name)), name)

    def test_complete_documentation(self) -> None:
        """
        The docstring of each method has each parameter, the result, and the errors of ``Client``, in each style.
        """
        for style in (Client, BlockingClient, DeferredClient):
            for name, method in [("__init__", style.__init__), *methods_of(style).items()]:
                text = inspect.getdoc(method) or ""
                for parameter in list(inspect.signature(method).parameters)[1:]:
                    self.assertRegex(text, rf"(?m)^    {parameter}: ", f"{style.__name__}.{name}")
                if inspect.signature(method).return_annotation not in (None, "None"):
                    self.assertIn("\nReturns:\n", text, f"{style.__name__}.{name}")
                raised = (inspect.getdoc(getattr(Client, name)) or "").partition("\nRaises:\n")[2]
                self.assertTrue(text.endswith(raised), f"{style.__name__}.{name}")

    def test_generated(self) -> None:
        """
        The other styles are what the generator makes of ``Client``; if not, run 'make faces'.
        """
        for path, source in faces.faces().items():
            self.assertEqual(path.read_text(), source)


class PicklingTests(SynchronousTestCase):
    """
    Clients that are pickled or copied.
    """

    def test_clients(self) -> None:
        """
        A client that was pickled or copied is another one with the same arguments, which is not connected yet.
        """
        tls = Tls(root_certificates=b"-----BEGIN CERTIFICATE-----")
        for make in (Client, BlockingClient):
            client: Any = make(
                "registry:1", tls=tls, token="secret", deadline_seconds=1, retry_seconds=2, idle_seconds=3
            )
            for again in (pickle.loads(pickle.dumps(client)), copy.copy(client), copy.deepcopy(client)):
                self.assertIs(type(again), make)
                self.assertEqual(again.__reduce__()[1:], client.__reduce__()[1:])
                self.assertEqual(again.__reduce__()[0].keywords, client.__reduce__()[0].keywords)

    def test_what_belongs_to_the_process(self) -> None:
        """
        Clients with a reactor, trackers and iterators cannot be pickled, and the error says what to do.
        """
        asyncio_client, blocking = Client(), BlockingClient()
        deferred = DeferredClient(PumpedReactor())
        for each in (
            deferred,
            *(client.track("walker") for client in (asyncio_client, blocking, deferred)),
            *(client.models() for client in (asyncio_client, blocking, deferred)),
        ):
            for take in (pickle.dumps, copy.copy, copy.deepcopy):
                error = self.assertRaises(TypeError, take, each)
                self.assertIn("there", str(error))


class FormerNameTests(SynchronousTestCase):
    """
    The former name of a parameter.
    """

    def test_retry_seconds(self) -> None:
        """
        The former name of ``retry_seconds`` still works in each style, with a warning.
        """
        for make in (BlockingClient, Client, partial(DeferredClient, PumpedReactor())):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                former = make("localhost:9000", patience_seconds=7)
            self.assertEqual([str(each.message) for each in caught], ["patience_seconds is now retry_seconds"])
            self.assertEqual(_options(former), _options(make("localhost:9000", retry_seconds=7)))


def _options(client: Any) -> Any:
    return getattr(client, "_client", client)._options


class AddressTests(SynchronousTestCase):
    """
    Addresses of a registry.
    """

    def test_not_an_address(self) -> None:
        """
        Each style refuses a malformed address at once, with an example of a good one.
        """
        for address in (
            "",
            "localhost",
            "localhost:",
            ":9000",
            "http://localhost:9000",
            "localhost:99999",
            "localhost:0",
            "a b:1",
            "me@host:1",
            "a:1,b:1",
            "[localhost]:1",
            "dns:///localhost",
            "dns:///a:1,b:1",
            "ipv4:10.0.0.1",
            "ipv4:10.0.0.1:1,10.0.0.2",
            "ipv4:localhost:9000",
            "ipv6:registry:9000",
            "local\0host:9000",
            "ipv6:[::x]:1",
            "unix:",
            "unix://folder/registry.sock",
            "unix://localhost/registry",
        ):
            for make in (BlockingClient, Client, partial(DeferredClient, PumpedReactor())):
                with self.assertRaises(ValueError, msg=address) as caught:
                    make(address)
                self.assertIn("localhost:9000", str(caught.exception))

    def test_socket_with_a_long_path(self) -> None:
        """
        A path of a socket that is too long for the system is refused at once.
        """
        with self.assertRaises(ValueError) as caught:
            BlockingClient(f"unix:/{'x' * 200}")
        self.assertIn("107 bytes", str(caught.exception))

    def test_what_is_an_address(self) -> None:
        """
        Hosts by name and by number are addresses, and so are other targets that gRPC knows.
        """
        for address in (
            "registry:9000",
            "10.0.0.1:1",
            "[::1]:65535",
            "unix:/run/registry.sock",
            "unix:registry.sock",
            "unix:///run/registry.sock",
            "unix-abstract:registry",
            "dns:registry:9000",
            "dns:///registry:9000",
            "dns://10.0.0.53/registry:9000",
            "ipv4:10.0.0.1:9000,10.0.0.2:9000",
            "ipv6:[::1]:9000",
            "vsock:2:9000",
            "xds:///registry",
        ):
            self.assertEqual(BlockingClient(address).address, address)

    def test_hosts_with_the_names_of_schemes(self) -> None:
        """
        A host whose name gRPC would take for a scheme is a host.
        """
        for name in ("dns", "ipv4", "xds", "vsock"):
            self.assertEqual(Address.parse(f"{name}:9000").target, f"dns:///{name}:9000")

    def test_this_machine(self) -> None:
        """
        Loopback addresses, localhost, sockets of the file system and the unspecified address only lead to this machine,
        in whatever form.
        """
        for address in (
            "localhost:9000",
            "LocalHost:9000",
            "127.0.0.1:1",
            "127.8.8.8:1",
            "0.0.0.0:1",
            "[::1]:9000",
            "[::]:9000",
            "[::ffff:127.0.0.1]:9000",
            "dns:localhost:9000",
            "dns:///localhost:9000",
            "dns:///127.0.0.1:9000",
            "dns:///%5B::1%5D:9000",
            "localhost.:9000",
            "ipv4:127.0.0.1:9000",
            "ipv4:127.0.0.1:9000,127.0.0.2:9000",
            "ipv6:[::1]:9000",
            "ipv6:[::ffff:127.0.0.1]:9000",
            "unix:/run/registry",
            "unix:///run/registry",
            "unix-abstract:registry",
        ):
            self.assertTrue(Address.parse(address).is_loopback, address)

    def test_other_machines(self) -> None:
        """
        Other addresses may lead elsewhere, including similar ones.
        """
        for address in (
            "registry:9000",
            "localhost.example:1",
            "10.0.0.1:1",
            "[::2]:1",
            "[::ffff:10.0.0.1]:1",
            "dns://10.0.0.53/localhost:1",
            "dns:///registry:1",
            "ipv4:127.0.0.1:1,10.0.0.1:1",
            "vsock:2:1",
        ):
            self.assertFalse(Address.parse(address).is_loopback, address)
