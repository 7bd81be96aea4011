"""
Tests of the addresses that webhooks may be sent to.
"""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.deliveries.addresses import AddressRule

_PUBLIC = ("93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808")

_PRIVATE = {
    "loopback": ("127.0.0.1", "127.255.0.9", "::1"),
    "unspecified, which reaches this machine": ("0.0.0.0", "0.1.2.3", "::"),
    "RFC 1918": ("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    "carrier-grade NAT": ("100.64.0.1", "100.127.255.255"),
    "link-local, such as the metadata of clouds": ("169.254.169.254", "fe80::1", "fe80::1%eth0"),
    "unique local": ("fc00::1", "fd12:3456::1"),
    "site-local": ("fec0::1",),
    "multicast": ("224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"),
    "broadcast and reserved": ("255.255.255.255", "240.0.0.1"),
    "special": ("192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "203.0.113.5", "100::1", "2001:db8::1"),
    "IPv4 within IPv6": ("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:169.254.169.254"),
    "IPv4 behind NAT64": ("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1"),
    "IPv4 behind 6to4 and Teredo": ("2002:7f00:1::", "2002:a00:1::1", "2001:0:a00:1::1"),
}


class AddressRuleTests(SynchronousTestCase):
    """
    Which addresses are allowed.
    """

    def test_public_addresses_are_allowed(self) -> None:
        """
        A webhook may be sent to any public address.
        """
        self.assertEqual([each for each in _PUBLIC if not AddressRule().allows(each)], [])

    def test_other_addresses_are_not(self) -> None:
        """
        It may be sent to no other address, however that is written.
        """
        for kind, addresses in _PRIVATE.items():
            self.assertEqual([each for each in addresses if AddressRule().allows(each)], [], kind)

    def test_networks_can_be_allowed(self) -> None:
        """
        The addresses of allowed networks, and no others, are allowed too, also as IPv4 within IPv6.
        """
        rule = AddressRule((ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")))
        for allowed in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5", "8.8.8.8"):
            self.assertTrue(rule.allows(allowed), allowed)
        for refused in ("10.2.0.1", "127.0.0.1", "fd00:2::5", "64:ff9b::a02:1"):
            self.assertFalse(rule.allows(refused), refused)

    def test_a_public_address_is_not_an_allowed_private_one(self) -> None:
        """
        Only the addresses of the networks may get webhooks without encryption.
        """
        rule = AddressRule((ip_network("10.1.0.0/16"),))
        self.assertTrue(rule.is_allowed_private("10.1.2.3"))
        self.assertFalse(rule.is_allowed_private("8.8.8.8"))
