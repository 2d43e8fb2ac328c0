"""Limits of a listener and of its clients: reached, refused, said once, and released."""

import contextlib
import resource
import socket
import ssl

import pytest

from harness.client import Client, Closed, secure_client, tls_context
from harness.daemon import open_descriptors
from harness.gateway import Gateway
from harness.ports import wait_until
from harness.scripted_server import Deaf, Obedient

REFUSED = {
    "sessions": b"421 4.7.0 Too many sessions, try again later\r\n",
    "sessions_per_client": b"421 4.7.0 Too many sessions from your address, try again later\r\n",
    "connections_per_client_per_minute": b"421 4.7.0 Too many connections from your address, try again later\r\n",
}
FLOOD = 40


def notices(gateway, limit):
    gateway.wait_for_log(f"a limit is reached .*limit={limit} ")
    return [line for line in gateway.log().splitlines() if "a limit is reached" in line and f"limit={limit} " in line]


def heard(port, source="127.0.0.1"):
    """All that a client hears who says nothing."""
    with Client(port, source=source) as client:
        return client.rest()


@pytest.mark.parametrize("limit", ["sessions", "sessions_per_client"])
def test_sessions_at_a_time(start_gateway, scripted_server, limit):
    server = scripted_server(Obedient())
    gateway = start_gateway({"address": server.address}, limits={limit: 2, "exempt": []})
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(gateway.port())) for _ in range(2)]
        for client in clients:
            client.greeted()
        for _ in range(FLOOD):
            assert heard(gateway.port()) == REFUSED[limit]
        if limit == "sessions_per_client":
            with Client(gateway.port(), source="127.0.0.2") as other:
                other.greeted()
                other.expect(221, "QUIT")
        clients[0].expect(250, "NOOP")  # whoever is inside notices nothing
        clients[0].expect(221, "QUIT")
        clients[0].rest()

        def released():
            with Client(gateway.port()) as client:
                return client.line().startswith(b"220 ")

        wait_until(released, "a place is free")
    assert len(notices(gateway, limit)) == 1, "a flood writes one line a minute"
    assert "value=2" in notices(gateway, limit)[0] and "last_client=127.0.0.1" in notices(gateway, limit)[0]
    # Of the sessions that there were, and of nobody who was refused.
    assert gateway.log().count("session ended") <= 6


@pytest.mark.parametrize("mode", ["starttls", "implicit", "none"])
def test_connections_within_a_minute(start_gateway, scripted_server, mode):
    server = scripted_server(Obedient())
    limit = "connections_per_client_per_minute"
    gateway = start_gateway({"address": server.address}, mode=mode, limits={limit: 3, "exempt": ["127.0.0.9/32"]})

    def served(source):
        if mode == "implicit":
            return secure_client(gateway.port(), mode, source=source).close()
        with Client(gateway.port(), source=source) as client:
            assert client.line().startswith(b"220 ")

    for _ in range(3):
        served("127.0.0.1")
    refused = b"" if mode == "implicit" else REFUSED[limit]
    for _ in range(FLOOD):
        assert heard(gateway.port()) == refused
    for _ in range(4):
        served("127.0.0.9")  # exempt
    assert len(notices(gateway, limit)) == 1


def test_handshakes_within_a_minute(start_gateway, scripted_server):
    server = scripted_server(Obedient())
    limits = {"handshakes_per_client_per_minute": 2, "exempt": []}
    backend = {"address": server.address}
    gateway = start_gateway(
        inbound={
            name: {
                "mode": name, "limits": limits, "certificates": ["mx"], "allow_open_relay_risk": True,
                "backend": backend,
            }
            for name in ("starttls", "implicit")
        }
    )  # fmt: skip
    for _ in range(2):
        for name in ("starttls", "implicit"):
            with secure_client(gateway.port(name), name) as client:
                client.expect(221, "QUIT")
    with Client(gateway.port("starttls")) as client:
        client.greeted()
        assert client.command("STARTTLS").raw.startswith(b"454 4.7.0 Too many TLS handshakes from your address")
        client.expect(250, "MAIL FROM:<a@example.net>")  # in plaintext, if it may
    with Client(gateway.port("implicit")) as client, pytest.raises((ssl.SSLError, OSError)):
        tls_context().wrap_socket(client.socket)
    with secure_client(gateway.port("starttls"), "starttls", source="127.0.0.2") as client:
        client.expect(221, "QUIT")
    gateway.wait_for_log("(?s)limit=handshakes.*limit=handshakes")
    assert len(notices(gateway, "handshakes_per_client_per_minute")) == 2, "one for each listener"


def test_a_balancer_shields_nobody(start_gateway, scripted_server):
    """Exempt itself, and the clients behind it are counted; where the listener is full it hears so at once."""
    server = scripted_server(Obedient())
    gateway = start_gateway(
        {"address": server.address},
        accept_proxy_protocol_from=["127.0.0.5/32"],
        limits={"sessions": 3, "sessions_per_client": 2, "exempt": ["127.0.0.0/8"]},
    )

    def behind(address):
        client = Client(gateway.port(), source="127.0.0.5")
        client.send(f"PROXY TCP6 {address} 2001:db8::1 4321 25\r\n".encode())
        return client

    with behind("2001:db8:7::1") as one, behind("2001:db8:7::2") as two:
        one.greeted()
        two.greeted()
        with behind("2001:db8:7:0:ffff::3") as three:  # of the same 64 bits
            assert three.rest() == REFUSED["sessions_per_client"]
        with behind("2001:db8:7:1::1") as other:
            other.greeted()
            with behind("2001:db8:9::1") as too_many:
                assert too_many.rest() in (REFUSED["sessions"], b"")


def test_what_waits_for_peers_that_do_not_read(start_gateway, scripted_server):
    server = scripted_server(Deaf())
    gateway = start_gateway({"address": server.address}, mode="none", certificates=[], top={"buffer_limit": "1MiB"})
    clients = []
    block = b"x" * 1022 + b"\r\n"

    def full():
        client = Client(gateway.port())
        clients.append(client)
        line = client.line()
        if line.startswith(b"421 4.3.2 Too much mail"):
            return True
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.socket.settimeout(1)
        with contextlib.suppress(socket.timeout):
            for _ in range(64):
                client.send(block * 1024)
        return False

    try:
        wait_until(full, "new sessions are refused")
        assert len(clients) > 3
        assert len(notices(gateway, "buffer_limit")) == 1
    finally:
        server.script.release.set()
        for client in clients:
            client.close()

    def released():
        with Client(gateway.port()) as client:
            return client.line().startswith(b"220 ")

    wait_until(released, "nothing waits any more")


def test_no_descriptors_are_left(start_gateway, scripted_server):
    """Accepting pauses, and says so once; who waits meanwhile is served when there are descriptors again."""
    server = scripted_server(Obedient())
    gateway = start_gateway({"address": server.address}, top={"workers": 1})
    pid = gateway.serving
    with Client(gateway.port()) as before:
        before.greeted()
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_descriptors(pid), hard))
        waiting = [Client(gateway.port()) for _ in range(30)]
        try:
            gateway.wait_for_log("accepting pauses: no descriptors")
            before.expect(250, "MAIL FROM:<a@example.net>")  # a session that runs notices nothing
            used = cpu_seconds(pid)
            with pytest.raises(TimeoutError):
                waiting[0].socket.settimeout(2)
                waiting[0].line()
            assert cpu_seconds(pid) - used < 1, "it spins"
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            for client in waiting:
                client.socket.settimeout(60)
                client.greeted()
                client.expect(221, "QUIT")
        finally:
            for client in waiting:
                client.close()
    assert gateway.log().count("accepting pauses") == 1


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_an_outbound_listener(postern, folder):
    """It has the same limits; a client that may not use it at all is told that first."""
    limits = {"sessions": 2, "connections_per_client_per_minute": 3, "exempt": []}
    listener = {"route": "mx", "mode": "none", "level": "may", "limits": limits, "allow_clients": ["127.0.0.1", "127.0.0.2"]}
    gateway = Gateway(postern, f"{folder}/gateway", outbound={"mx": listener}, dns={"servers": ["127.0.0.53"]})
    gateway.start()
    try:
        with Client(gateway.port()) as one, Client(gateway.port()) as two:
            one.greeted()
            two.greeted()
            assert heard(gateway.port()) == REFUSED["sessions"]
        with Client(gateway.port(), source="127.0.0.3") as other:
            with contextlib.suppress(Closed):
                assert other.line()[:4] in (b"554 ", b"421 ")
        wait_until(lambda: heard_first(gateway.port()).startswith(b"220 "), "there is a place")
        wait_until(
            lambda: heard_first(gateway.port()) == REFUSED["connections_per_client_per_minute"], "three connections"
        )
    finally:
        gateway.stop()
        gateway.kill()


def heard_first(port):
    with Client(port) as client:
        return client.line()
