"""Servers of every kind behind the gateway: several, on unix sockets, old, slow, or with an outdated TLS of their own."""

import ssl
import threading
import time

import pytest

from harness.client import Client, secure_client
from harness.gateway import Gateway
from harness.messages import message
from harness.netns import Namespace, need_namespaces
from harness.ports import free_port
from harness.scripted_server import DEFAULT_KEYWORDS, HangUp, Obedient, ScriptedServer


def one_message(port, mode="starttls"):
    with secure_client(port, mode) as client:
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()


def test_unix_socket(start_gateway, scripted_server, folder):
    server = scripted_server(unix_path=f"{folder}/socket")
    gateway = start_gateway({"address": server.address})
    one_message(gateway.port())
    assert len(server.messages()) == 1


def test_host_name(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": f"localhost:{server.port}"})
    one_message(gateway.port())
    assert len(server.messages()) == 1


def test_host_name_with_an_underscore(postern, folder, certificates):
    """No host name by RFC 1123, and what compose files are full of."""
    need_namespaces()
    host = Namespace("names")
    try:
        host.use_hosts(mail_server="127.0.0.2")
        with host.entered():
            server = ScriptedServer(host="127.0.0.2")
        listener = {
            "listen": ["127.0.0.1:2525"], "mode": "starttls", "certificates": ["mx"], "allow_open_relay_risk": True,
            "backend": {"address": f"mail_server:{server.port}"},
        }  # fmt: skip
        gateway = Gateway(
            postern, folder, inbound={"mx": listener}, namespace=host, hostname="mail_1.example.org",
            certificates={"mx": [certificates.ecdsa.as_setting()]},
        )  # fmt: skip
        with server:
            gateway.start()
            with host.entered():
                one_message(gateway.port())
            gateway.stop()
            assert len(server.messages()) == 1
    finally:
        host.remove()


def test_two_servers_share_the_load(start_gateway, scripted_server):
    first, second = scripted_server(), scripted_server()
    gateway = start_gateway({"address": [first.address, second.address]}, top={"workers": 1})
    clients = []
    try:
        for _ in range(10):
            clients.append(Client(gateway.port()))
            clients[-1].greeted()
        assert len(first.connections) == len(second.connections) == 5
    finally:
        for client in clients:
            client.close()


def test_failover(start_gateway, scripted_server):
    """One of two is dead: no client notices; it comes back: it is used again."""
    alive = scripted_server()
    port = free_port()
    gateway = start_gateway({"address": [f"127.0.0.1:{port}", alive.address]})
    for _ in range(6):
        one_message(gateway.port())
    assert len(alive.messages()) == 6
    revived = ScriptedServer(port=port)
    try:
        deadline = time.monotonic() + 90
        while not revived.messages() and time.monotonic() < deadline:
            one_message(gateway.port())
            time.sleep(0.2)
        assert revived.messages(), "the server that came back is not used"
    finally:
        revived.close()


def test_the_client_is_told_by_a_server_that_greets_with_421_and_the_session_ends(start_gateway, scripted_server):
    busy = scripted_server(Obedient(replies={"GREETING": "421 4.3.2 too busy\r\n"}))
    gateway = start_gateway({"address": busy.address})
    with Client(gateway.port()) as client:
        assert client.reply().raw == b"421 4.3.2 too busy\r\n"
        assert client.rest() == b""


def test_a_server_that_refuses_with_554(start_gateway, scripted_server):
    server = scripted_server(Obedient(replies={"GREETING": "554 5.7.1 go away\r\n"}))
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        assert client.reply().code in (421, 554)


def test_a_server_that_knows_only_helo(start_gateway, scripted_server):
    server = scripted_server(Obedient(helo_only=True))
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.expect(220)
        keywords = client.expect(250, "EHLO client.example").keywords()
        assert "STARTTLS" in keywords and "CHUNKING" not in keywords
        client.starttls()
        client.expect(250, "EHLO client.example")
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert len(server.messages()) == 1
    assert any(command.upper().startswith(b"HELO") for command in server.commands())


def test_a_client_that_knows_only_helo(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.expect(220)
        assert client.expect(250, "HELO client.example").raw.count(b"\r\n") == 1
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert len(server.messages()) == 1


def test_neither_knows_more_than_helo(start_gateway, scripted_server):
    server = scripted_server(Obedient(helo_only=True))
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.expect(220)
        client.expect(250, "HELO client.example")
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert len(server.messages()) == 1


class OneAtATime(Obedient):
    """A server without PIPELINING: what comes before its reply is thrown away, as old ones do."""

    def __init__(self):
        super().__init__(keywords=("8BITMIME", "SIZE 1000000"), delay=0.02)
        self.early = []

    def answer(self, connection, verb, usual):
        if self.delay:
            time.sleep(self.delay)
        connection.socket.setblocking(False)
        try:
            connection.more()
        except Exception:
            pass
        connection.socket.setblocking(True)
        if connection.waiting():
            self.early.append((verb, connection.waiting()))
        return super().answer(connection, verb, usual)


def test_a_pipelining_client_before_a_server_without(start_gateway, scripted_server):
    script = OneAtATime()
    server = scripted_server(script)
    gateway = start_gateway({"address": server.address}, ehlo={"add": ["PIPELINING"]})
    with secure_client(gateway.port(), "starttls") as client:
        assert "PIPELINING" in client.expect(250, "EHLO again").keywords()
        for _ in range(2):
            client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n")
            assert [client.reply().code for _ in range(4)] == [250, 250, 250, 354]
            client.send(b"Subject: x\r\n\r\nbody\r\n.\r\nRSET\r\nNOOP\r\n")
            assert [client.reply().code for _ in range(3)] == [250, 250, 250]
        client.send(b"NOOP\r\nQUIT\r\n")
        assert [client.reply().code for _ in range(2)] == [250, 221]
    assert len(server.messages()) == 2
    assert script.early == [], "a command came before the reply to the one before it"


def test_replies_stay_in_order(start_gateway, scripted_server):
    """Replies of the gateway's own between those of a slow server, all pipelined in one segment."""
    server = scripted_server(Obedient(delay=0.05))
    gateway = start_gateway({"address": server.address}, recipients={"allow_domains": ["example.org"]})
    with secure_client(gateway.port(), "starttls") as client:
        client.send(
            b"NOOP\r\nXCLIENT ADDR=1.2.3.4\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<x@elsewhere.example>\r\n"
            b"RCPT TO:<b@example.org>\r\nSTARTTLS\r\nRSET\r\nWHATEVER\r\nQUIT\r\n"
        )
        codes = [client.reply().code for _ in range(9)]
        assert codes == [250, 550, 250, 550, 250, 503, 250, 502, 221]


def test_a_slow_server(start_gateway, scripted_server):
    server = scripted_server(Obedient(delay=0.3))
    gateway = start_gateway({"address": server.address})
    one_message(gateway.port())
    assert len(server.messages()) == 1


def test_replies_that_come_octet_by_octet(start_gateway, scripted_server):
    class Dripping(Obedient):
        def answer(self, connection, verb, usual):
            for octet in usual.encode():
                connection.send(bytes([octet]))
            return usual

    server = scripted_server(Dripping())
    gateway = start_gateway({"address": server.address})
    one_message(gateway.port())
    assert len(server.messages()) == 1


def test_the_server_answers_before_it_is_asked(start_gateway, scripted_server):
    """A second reply that belongs to nothing: the gateway must not take it for the reply to the end of data."""

    class Early(Obedient):
        def on_data(self, connection, line):
            connection.send("354 go ahead\r\n250 2.0.0 accepted before it was sent\r\n")
            connection.until_end_of_data()
            raise HangUp

    server = scripted_server(Early())
    gateway = start_gateway({"address": server.address})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.send(b"DATA\r\n")
        codes = [client.reply().code]
        time.sleep(0.3)
        try:
            client.send(b"Subject: x\r\n\r\nbody\r\n.\r\n")
        except OSError:
            pass
        for line in client.rest().split(b"\r\n"):
            if line:
                codes.append(int(line[:3]))
    assert codes in ([354, 421], [354], [421]), codes
    assert server.messages() == []


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_server_with_tls_of_its_own(start_gateway, scripted_server, certificates, mode):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.other.chain, certificates.other.key)

    class WithStarttls(Obedient):
        def on_starttls(self, connection, line):
            connection.send("220 go ahead\r\n")
            assert not connection.waiting(), "the gateway did not wait for the 220"
            connection.socket = context.wrap_socket(connection.socket, server_side=True)
            connection.secure = connection.socket.version()
            self.keywords = list(DEFAULT_KEYWORDS)

    if mode == "implicit":
        server = scripted_server(tls_context=context)
    else:
        server = scripted_server(WithStarttls(keywords=(*DEFAULT_KEYWORDS, "STARTTLS")))
    gateway = start_gateway({"address": server.address, "tls": mode})
    for front in ("plain", "starttls"):
        if mode == "starttls":
            server.script.keywords = [*DEFAULT_KEYWORDS, "STARTTLS"]
        with Client(gateway.port()) as client:
            client.greeted()
            if front == "starttls":
                client.starttls()
                client.expect(250, "EHLO client.example")
            client.send_message("a@example.net", ["b@example.org"], message(b"secret\r\n"))
            client.quit()
    assert len(server.messages()) == 2
    if mode == "starttls":
        assert all(connection.secure.startswith("TLSv1") for connection in server.connections)


def test_a_server_that_should_offer_starttls_and_does_not(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address, "tls": "starttls"})
    with Client(gateway.port()) as client:
        client.expect(421)
    assert b"MAIL" not in server.received()


def test_injection_by_the_server_behind_its_starttls_reply(start_gateway, scripted_server):
    class Injecting(Obedient):
        def on_starttls(self, connection, line):
            connection.send("220 go ahead\r\n250 injected\r\n")
            connection.more()

    server = scripted_server(Injecting(keywords=(*DEFAULT_KEYWORDS, "STARTTLS")))
    gateway = start_gateway({"address": server.address, "tls": "starttls"})
    with Client(gateway.port()) as client:
        client.expect(421)


@pytest.mark.parametrize("greeting", ["backend", "gateway"])
def test_xclient_to_a_server_as_strict_as_postfix(start_gateway, scripted_server, greeting):
    """Once it has been told an address, it takes us for that client, who may not say XCLIENT."""

    class WithXclient(Obedient):
        def on_xclient(self, connection, line):
            if getattr(connection, "is_client", False):
                self.answer(connection, "XCLIENT", "550 5.7.0 Error: insufficient authorization\r\n")
            else:
                connection.is_client = b" ADDR=" in line
                self.answer(connection, "XCLIENT", "220 scripted.example again\r\n")

    server = scripted_server(WithXclient(keywords=(*DEFAULT_KEYWORDS, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN")))
    gateway = start_gateway(
        {"address": server.address, "client_address": "xclient"}, greeting=greeting, allow_open_relay_risk=False
    )
    with Client(gateway.port(), source="127.0.0.44") as client:
        client.greeted("plain.example")
        client.starttls()
        client.expect(250, "EHLO tls.example")
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    commands = server.commands()
    assert any(command.startswith(b"XCLIENT") and b"ADDR=127.0.0.44" in command for command in commands)
    assert all(len(command) <= 512 for command in commands)
    assert [command for command in commands if command.startswith((b"EHLO", b"HELO"))][-1] == b"EHLO tls.example\r\n"
    assert len(server.messages()) == 1


def test_a_server_without_the_xclient_it_should_have(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address, "client_address": "xclient"})
    with Client(gateway.port()) as client:
        client.expect(421)
    gateway.wait_for_log("backend_lacks_xclient")
    assert b"MAIL" not in server.received()


def test_the_gateway_greets_without_a_server(start_gateway, scripted_server):
    """greeting: gateway dials only when it must."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, greeting="gateway", require_tls=True)
    with Client(gateway.port()) as client:
        assert client.expect(220).text.startswith("gateway.example.org")
        client.expect(250, "EHLO client.example")
        client.expect(530, "MAIL FROM:<a@example.net>")
        assert server.connections == []
        client.starttls()
        client.expect(250, "EHLO client.example")
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert len(server.connections) == 1 and len(server.messages()) == 1


def test_concurrent_sessions_to_a_dying_server(start_gateway, scripted_server):
    """The server hangs up on half of its connections: the others do not notice."""
    counter = threading.Lock(), [0]

    def at_step(connection, name):
        if name == "GREETING?":
            with counter[0]:
                counter[1][0] += 1
                connection.doomed = counter[1][0] % 2 == 0
        if name == ".?" and connection.doomed:
            raise HangUp

    server = scripted_server(Obedient(at_step=at_step))
    gateway = start_gateway({"address": server.address})
    outcomes = []

    def session():
        with Client(gateway.port()) as client:
            client.greeted()
            try:
                client.send_message("a@example.net", ["b@example.org"], message())
                outcomes.append(250)
            except AssertionError:
                outcomes.append(421)

    threads = [threading.Thread(target=session) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert sorted(outcomes) == [250] * 10 + [421] * 10
    assert len(server.messages()) == 10
