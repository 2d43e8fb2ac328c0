"""PROXY headers from balancers: taken where they are demanded, refused where they are not, passed on to the server."""

import socket
import struct
import time

import pytest

from harness.client import Client, tls_context
from harness.messages import message
from harness.scripted_server import Obedient

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2_header(source="192.0.2.7", port=4321, command=1, family=0x11, tlvs=b""):
    addresses = socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 25)
    if family == 0:
        addresses = b""
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(addresses) + len(tlvs)) + addresses + tlvs


V1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 25\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 4321 25\r\n"


class BehindProxyHeader(Obedient):
    """A server that takes a PROXY header first and keeps it."""

    def __call__(self, connection):
        first = connection.exactly(13)
        if first.startswith(b"PROXY"):
            connection.proxy_header = first + connection.line()
        else:
            fixed = first + connection.exactly(3)
            connection.proxy_header = fixed + connection.exactly(struct.unpack("!H", fixed[14:16])[0])
        super().__call__(connection)


@pytest.mark.parametrize("cut", ["whole", "octet by octet"])
@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize(
    "header, client_address",
    [
        (V1, "192.0.2.7"),
        (V1_IPV6, "2001:db8::7"),
        (v2_header(), "192.0.2.7"),
        (v2_header(tlvs=b"\x04\0\3abc\xe0\0\1x"), "192.0.2.7"),
        (v2_header(command=0), "127.0.0.5"),  # LOCAL: the balancer itself
        (b"PROXY UNKNOWN\r\n", "127.0.0.5"),
    ],
)
def test_proxy_header_from_a_balancer(start_gateway, scripted_server, header, client_address, mode, cut):
    server = scripted_server(BehindProxyHeader())
    gateway = start_gateway(
        {"address": server.address, "client_address": "proxy_v1"},
        mode=mode,
        accept_proxy_protocol_from=["127.0.0.5/32"],
    )
    with Client(gateway.port(), source="127.0.0.5") as client:
        (client.send if cut == "whole" else client.send_bytewise)(header)
        if mode == "implicit":
            client.start_tls(tls_context())
        client.greeted()
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert server.connections[0].proxy_header.split(b" ")[2] == client_address.encode()
    gateway.wait_for_log(f"client=\\S*{client_address}|\"client\":\"\\S*{client_address}")


def test_the_header_and_the_first_commands_in_one_segment(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, accept_proxy_protocol_from=["127.0.0.0/8"])
    with Client(gateway.port()) as client:
        client.send(V1 + b"EHLO early.example\r\n")
        client.expect(220)
        client.expect(250)


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO client.example\r\n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 300.0.2.7 192.0.2.1 4321 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 70000\r\n",
        b"PROXY TCP4 " + b"1" * 200,
        SIGNATURE + b"\x31\x11\0\x0c" + b"\0" * 12,
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x21\x11\0\4abcd",
        b"\x16\x03\x01\0\5hello",
    ],
)
def test_demanded_but_absent_or_malformed(start_gateway, scripted_server, octets):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, accept_proxy_protocol_from=["127.0.0.0/8"])
    with Client(gateway.port()) as client:
        client.send(octets)
        if octets.endswith((b"1" * 200, b"\xff\xff")):
            client.socket.shutdown(socket.SHUT_WR)
        assert not client.rest().startswith(b"220")
    gateway.wait_for_log("proxy_protocol")
    assert server.received() == b""


def test_demanded_and_nothing_comes(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway(
        {"address": server.address}, accept_proxy_protocol_from=["127.0.0.0/8"], handshake_timeout="1s"
    )
    begun = time.monotonic()
    with Client(gateway.port()) as client:
        assert not client.rest().startswith(b"220")
    assert 0.5 < time.monotonic() - begun < 40


@pytest.mark.parametrize("header", [V1, v2_header()], ids=["v1", "v2"])
def test_refused_from_everybody_else(start_gateway, scripted_server, header):
    """From a client that is not listed a header is no command and no truth: it never changes who the client is."""
    server = scripted_server(BehindProxyHeader())
    gateway = start_gateway(
        {"address": server.address, "client_address": "proxy_v1"}, accept_proxy_protocol_from=["10.0.0.0/8"]
    )
    with Client(gateway.port(), source="127.0.0.6") as client:
        client.send(header + b"EHLO client.example\r\nMAIL FROM:<a@example.net>\r\n")
        answer = client.rest()
        assert b"250 " not in answer, answer
    for connection in server.connections:
        assert b"192.0.2.7" not in bytes(connection.received)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_v2_to_the_server_tells_the_facts_of_tls(start_gateway, scripted_server, mode):
    server = scripted_server(BehindProxyHeader())
    gateway = start_gateway(
        {"address": server.address, "client_address": "proxy_v2"}, greeting="gateway", mode=mode
    )
    with Client(gateway.port(), source="127.0.0.7") as client:
        if mode == "implicit":
            client.start_tls(tls_context(version="1.3"))
            client.greeted()
        else:
            client.greeted()
            client.starttls(tls_context(version="1.3"))
            client.expect(250, "EHLO client.example")
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert len(server.connections) == 1
    header = server.connections[0].proxy_header
    assert header[:13] == SIGNATURE + b"\x21" and header[13] == 0x11
    assert header[16:20] == socket.inet_aton("127.0.0.7")
    tlvs = dict(split_tlvs(header[28:]))
    assert tlvs[0x02] == b"mx.example.org"  # authority: the SNI
    assert tlvs[0x20][0] & 1, "the client spoke TLS"
    assert dict(split_tlvs(tlvs[0x20][5:]))[0x21] == b"TLSv1.3"


def split_tlvs(octets):
    while octets:
        kind, length = struct.unpack("!BH", octets[:3])
        yield kind, octets[3 : 3 + length]
        octets = octets[3 + length :]
