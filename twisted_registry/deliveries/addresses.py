"""
Addresses that webhooks may be sent to.

A webhook's URL may name a machine that only this one can reach.  So the addresses of its host are checked, and the
connection is made to a checked address: the name is not resolved again.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from attrs import frozen

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Addresses that a NAT64 gateway translates: the last 32 bits are an IPv4 address."""

_SPECIAL = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv6Network("::/96"),  # a deprecated form of IPv4 addresses
    IPv6Network("64:ff9b:1::/48"),  # NAT64 within a network
    IPv6Network("100::/64"),
    IPv6Network("fec0::/10"),  # private, before RFC 4193
)
"""Networks that are not public, whatever a version of Python says about them."""


def _parts(address: Address) -> Iterator[Address]:
    """
    Yield an address, and those within it that a packet may be sent to in the end.
    """
    yield address
    if isinstance(address, IPv4Address):
        return
    within = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _TRANSLATED:
        within.append(IPv4Address(int(address) & 0xFFFFFFFF))
    yield from (each for each in within if each is not None)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return True  # as public as the address within it
    if address.is_multicast or (address.is_reserved and address not in _TRANSLATED):
        return False
    return address.is_global and not any(address in network for network in _SPECIAL)


def _is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


@frozen
class AddressRule:
    """
    The addresses that one webhook may be sent to: public ones, and those of some networks.

    Attributes:
        networks: the networks that are allowed although they are private.
    """

    networks: Sequence[Network] = ()

    def is_allowed_private(self, text: str) -> bool:
        """
        Return whether an address is in one of the networks.
        """
        address = ip_address(text)
        plain = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
        return _is_within(plain, self.networks)

    def allows(self, text: str) -> bool:
        """
        Return whether a webhook may be sent to an address.

        Args:
            text: an IPv4 or IPv6 address, perhaps with a zone.
        """
        return self.is_allowed_private(text) or all(map(_is_public, _parts(ip_address(text))))
