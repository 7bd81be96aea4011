"""
Tests for ``twisted_registry.rpc.tls``.
"""

import ssl
from concurrent.futures import ThreadPoolExecutor

import grpc
import trustme
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.rpc.tls import ServerTls


class ServerTlsTests(SynchronousTestCase):
    """
    ``ServerTls`` has the certificates of a server.
    """

    def setUp(self) -> None:
        """
        Make certificates.
        """
        self.tls = ServerTls()
        self.chain = self.use_new()

    def use_new(self) -> str:
        """
        Use a new certificate, and return it.
        """
        leaf = trustme.CA().issue_cert("localhost", "127.0.0.1")
        chain = leaf.cert_chain_pems[0].bytes()
        self.tls.use(chain, leaf.private_key_pem.bytes(), None)
        return chain.decode()

    def test_several_addresses(self) -> None:
        """
        Each address has the certificate, and the new one after a change.
        """
        server = grpc.server(ThreadPoolExecutor(1))
        ports = [server.add_secure_port("127.0.0.1:0", self.tls.credentials(at_client_port=False)) for _ in range(2)]
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        self.assertEqual({ssl.get_server_certificate(("127.0.0.1", port)) for port in ports}, {self.chain})
        chain = self.use_new()
        self.assertEqual({ssl.get_server_certificate(("127.0.0.1", port)) for port in ports}, {chain})

    def test_no_repr_has_the_key(self) -> None:
        """
        The private key is not in the text of any attribute, where a debugger or a log could show it.
        """
        leaf = trustme.CA().issue_cert("localhost")
        self.tls.use(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes(), None)
        self.assertNotIn("PRIVATE KEY", repr(vars(self.tls)))
