"""docs/firewall and `postern intercept`: what the rules hand to a listener, with a stand-in for Postern that only looks."""

import contextlib
import socket
import struct

import pytest
import world as places
from firewall import PORT, SOCKET_MARK, firewall

INTERCEPT_ROUTER = ["postern-redirect-router", "postern-tproxy-router"]
INTERCEPT_HOST = ["postern-redirect-host", "postern-tproxy-host"]
ROUTER = ["nft-redirect-router", "iptables-redirect-router", "nft-tproxy", "iptables-tproxy", *INTERCEPT_ROUTER]
HOST = ["nft-redirect-host", "iptables-redirect-host", *INTERCEPT_HOST]
FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}

_SO_ORIGINAL_DST = 80  # for IPv4 and IPv6 alike
_IP_TRANSPARENT, _IPV6_TRANSPARENT = 19, 75


@pytest.fixture(params=["4", "6"])
def family(request):
    return request.param


def new_socket(family):
    made = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.settimeout(30)
    return made


def be_transparent(plug):
    if plug.family == socket.AF_INET:
        plug.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
    else:
        plug.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)


def original_destination(plug):
    """What REDIRECT has changed."""
    if plug.family == socket.AF_INET:
        octets = plug.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16)
        return socket.inet_ntop(socket.AF_INET, octets[4:8]), struct.unpack("!H", octets[2:4])[0]
    octets = plug.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
    return socket.inet_ntop(socket.AF_INET6, octets[8:24]), struct.unpack("!H", octets[2:4])[0]


def listener(family, transparent):
    plug = new_socket(family)
    if transparent:
        be_transparent(plug)
    if family == "6":
        plug.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    plug.bind(("", PORT))
    plug.listen()
    return plug


def remote(world, family):
    return world.addresses["dual"][family], 25


@pytest.mark.parametrize("rules", ROUTER)
def test_a_router_gets_the_sessions_of_the_legacy_host(world, rules, family):
    with firewall(world.gateway, rules), contextlib.ExitStack() as plugs:
        with world.gateway.entered():
            accepting = plugs.enter_context(listener(family, "tproxy" in rules))
        with world.legacy.entered():
            client = plugs.enter_context(new_socket(family))
        client.connect(remote(world, family))
        accepted, peer = accepting.accept()
        plugs.enter_context(accepted)
        assert peer[0] == places.LEGACY[family]
        where = accepted.getsockname() if "tproxy" in rules else original_destination(accepted)
        assert where[:2] == remote(world, family)
        accepted.sendall(b"220 caught\r\n")
        assert client.recv(100) == b"220 caught\r\n"
        if rules in ("nft-tproxy", "iptables-tproxy"):  # `postern intercept` does it where `source: client` asks for it
            answered_under_the_address_of_the_client(world, family, plugs)


def answered_under_the_address_of_the_client(world, family, plugs):
    with world.gateway.entered():
        plug = plugs.enter_context(new_socket(family))
    be_transparent(plug)
    plug.bind((places.LEGACY[family], 0))
    plug.connect(remote(world, family))
    assert plug.recv(100).startswith(b"220 mx.dual.example")


@pytest.mark.parametrize("rules", ROUTER)
def test_without_a_listener_nothing_gets_past_a_router(world, rules, family):
    with firewall(world.gateway, rules), world.legacy.entered(), new_socket(family) as client:
        client.settimeout(1)
        with pytest.raises((ConnectionRefusedError, TimeoutError)):  # iptables' TPROXY drops what nobody listens for
            client.connect(remote(world, family))


def rules_end_a_session(world, where, rules, family):
    """One of the legacy host's, from before they were put in place there."""
    with world.legacy.entered(), new_socket(family) as client:
        client.connect(remote(world, family))
        assert client.recv(100).startswith(b"220 ")
        with firewall(where, rules):
            client.sendall(b"NOOP\r\n")
            with pytest.raises(ConnectionResetError):
                client.recv(100)


@pytest.mark.parametrize("rules", ROUTER)
def test_sessions_from_before_the_rules_end(world, rules, family):
    rules_end_a_session(world, world.gateway, rules, family)


@pytest.mark.parametrize("rules", ROUTER)
def test_a_router_keeps_its_own_smtp_server(world, rules, family):
    with firewall(world.gateway, rules), contextlib.ExitStack() as plugs:
        with world.gateway.entered():
            own = plugs.enter_context(new_socket(family))
        own.bind((places.ROUTER_INSIDE[family], 25))
        own.listen()
        with world.legacy.entered():
            client = plugs.enter_context(new_socket(family))
        client.connect((places.ROUTER_INSIDE[family], 25))
        own.accept()[0].close()


@pytest.mark.parametrize("rules", HOST)
def test_a_host_gets_its_own_sessions_but_for_marked_ones(world, rules, family):
    with firewall(world.legacy, rules), contextlib.ExitStack() as plugs, world.legacy.entered():
        accepting = plugs.enter_context(listener(family, "tproxy" in rules))
        client = plugs.enter_context(new_socket(family))
        client.connect(remote(world, family))
        accepted, peer = accepting.accept()
        plugs.enter_context(accepted)
        where = accepted.getsockname() if "tproxy" in rules else original_destination(accepted)
        assert where[:2] == remote(world, family)
        accepted.sendall(b"220 caught\r\n")
        assert client.recv(100) == b"220 caught\r\n"
        # Not a loopback address: what `allow_clients` has to know.
        assert peer[0] == places.LEGACY[family]

        marked = plugs.enter_context(new_socket(family))
        marked.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, SOCKET_MARK)
        marked.connect(remote(world, family))
        assert marked.recv(100).startswith(b"220 mx.dual.example")


@pytest.mark.parametrize("rules", INTERCEPT_HOST)
def test_sessions_of_a_host_from_before_the_rules_end(world, rules, family):
    rules_end_a_session(world, world.legacy, rules, family)


@pytest.mark.parametrize("rules", HOST)
def test_a_host_keeps_its_own_smtp_server(world, rules, family):
    with firewall(world.legacy, rules), contextlib.ExitStack() as plugs, world.legacy.entered():
        own = plugs.enter_context(new_socket(family))
        own.bind((places.LEGACY[family], 25))
        own.listen()
        client = plugs.enter_context(new_socket(family))
        client.connect((places.LEGACY[family], 25))
        own.accept()[0].close()


@pytest.mark.parametrize("rules", INTERCEPT_HOST)
def test_without_a_listener_nothing_gets_past_a_host(world, rules, family):
    with firewall(world.legacy, rules), world.legacy.entered(), new_socket(family) as client:
        client.settimeout(1)
        with pytest.raises((ConnectionRefusedError, TimeoutError)):
            client.connect(remote(world, family))
