"""Mail servers of Debian without TLS behind the gateway, as they are: what one client after the other gets from them."""

import pytest

from harness.aiosmtpd import AioSmtpd
from harness.chasquid import Chasquid
from harness.client import Client, Closed, dot_stuffed, secure_client
from harness.courier import Courier
from harness.maildir import body_of, sha256
from harness.messages import PLAIN_BODIES, message, new_token
from harness.opensmtpd import OpenSmtpd
from harness.ports import wait_until
from harness.qpsmtpd import Qpsmtpd
from harness.sendmail import Sendmail
from harness.sink import Sink

ONE_EHLO = ("opensmtpd", "qpsmtpd")  # refuse another on the same connection
DEAF_BEHIND_A_MESSAGE = ("courier", "chasquid")  # forget what came together with its end, whoever sent it
SERVERS = {kind.NAME: kind for kind in (OpenSmtpd, Sendmail, Courier, Qpsmtpd, Chasquid, AioSmtpd)}
MODES = ["starttls", "implicit"]

# What a client has to be told that they can.
KEYWORDS = {
    "opensmtpd": {"8BITMIME", "ENHANCEDSTATUSCODES", "SIZE", "DSN"},
    "sendmail": {"8BITMIME", "ENHANCEDSTATUSCODES", "SIZE", "DSN", "PIPELINING", "AUTH"},
    "courier": {"8BITMIME", "SMTPUTF8", "SIZE", "DSN", "PIPELINING"},
    "qpsmtpd": {"8BITMIME", "SIZE", "PIPELINING"},
    "chasquid": {"8BITMIME", "ENHANCEDSTATUSCODES", "SIZE", "SMTPUTF8", "PIPELINING"},
    "aiosmtpd": {"8BITMIME", "SIZE"},
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request, build_folder, postern, session_folder, authority):
    folder = f"{session_folder}/{request.param}"
    if request.param == "courier":  # hands on what it takes
        store = Sink(postern, f"{folder}-store")
        try:
            made = Courier(build_folder, folder, store=store.port)
            made.maildir = store.maildir
            yield made
            made.stop()
        finally:
            store.stop()
    else:
        options = {"authority": authority} if request.param == "chasquid" else {}
        made = SERVERS[request.param](build_folder, folder, **options)
        yield made
        made.stop()


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def gateway(start_gateway, server, mode):
    return start_gateway({"address": f"127.0.0.1:{server.port}"}, mode=mode)


def offered_to(port, mode):
    """The keywords of the EHLO reply inside TLS."""
    with Client(port) as client:
        if mode == "implicit":
            return client.start_tls().greeted().keywords()
        client.greeted()
        client.starttls()
        return client.expect(250, "EHLO client.example").keywords()


def assert_stored(server, token, body):
    assert sha256(body_of(server.maildir.wait_for(token.encode()))) == sha256(body)


def test_every_body_arrives_unchanged(gateway, server, mode):
    for name, body in PLAIN_BODIES.items():
        token = new_token()
        with secure_client(gateway.port(), mode) as client:
            client.send_message("a@example.net", ["b@example.org"], message(body, token))
            client.quit()
        stored = body_of(server.maildir.wait_for(token.encode()))
        assert sha256(stored) == sha256(body), name


def test_what_the_server_can_is_offered_inside_tls(gateway, server, mode):
    with server.session() as client:
        own = client.greeted().keywords()
    offered = offered_to(gateway.port(), mode)
    assert KEYWORDS[server.NAME] <= set(offered) <= set(own)
    assert {name: own[name] for name in KEYWORDS[server.NAME]} == {
        name: offered[name] for name in KEYWORDS[server.NAME]
    }
    assert not {"STARTTLS", "VERB", "XEXDATA", "XSECURITY"} & set(offered)


def test_a_client_says_ehlo_again_without_need(gateway, server, mode):
    """The server may refuse that, as it would anybody; the session goes on. (After STARTTLS every client must.)"""
    token = new_token()
    with secure_client(gateway.port(), mode) as client:
        reply = client.command("EHLO second.example")
        assert reply.code in ((250, 503) if server.NAME in ONE_EHLO else (250,))
        client.send_message("a@example.net", ["b@example.org"], message(b"again\r\n", token))
        client.quit()
    assert_stored(server, token, b"again\r\n")


def test_a_client_that_knows_only_helo(gateway, server, mode):
    token = new_token()
    with Client(gateway.port()) as client:
        if mode == "implicit":
            client.start_tls()
        client.expect(220)
        client.expect(250, "HELO old.example")
        client.send_message("a@example.net", ["b@example.org"], message(b"old\r\n", token))
        client.quit()
    assert_stored(server, token, b"old\r\n")


def ended(client, server, content):
    if content and server.NAME in DEAF_BEHIND_A_MESSAGE:
        client.send(content)
        client.expect(250)
        return b""
    return content


def test_commands_in_one_segment(gateway, server, mode):
    """Two messages, the content of each behind its 354."""
    tokens = [new_token(), new_token()]
    if "PIPELINING" not in offered_to(gateway.port(), mode):
        pytest.skip(f"{server.NAME} does not offer PIPELINING")
    with secure_client(gateway.port(), mode) as client:
        before = b""
        for token in tokens:
            before = ended(client, server, before)
            client.send(before + b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
            codes = [client.reply().code for _ in range(4 if before else 3)]
            assert codes[-3:] == [250, 250, 354]
            before = dot_stuffed(message(b"one after the other\r\n", token)) + b".\r\n"
        before = ended(client, server, before)
        client.send(before + b"QUIT\r\n")
        assert [client.reply().code for _ in range(2 if before else 1)][-1] == 221
        assert client.rest() == b""
    for token in tokens:
        assert_stored(server, token, b"one after the other\r\n")


def test_one_recipient_is_refused_and_the_other_gets_the_message(gateway, server, mode):
    token = new_token()
    with secure_client(gateway.port(), mode) as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        assert client.command("RCPT TO:<b@refused.example.org>").code // 100 == 5
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.send(message(b"for one\r\n", token) + b".\r\n")
        client.expect(250)
        client.quit()
    assert_stored(server, token, b"for one\r\n")


def test_nobody_is_left(gateway, server, mode):
    """The only recipient is refused: no content is asked for, and the next transaction is as good as any."""
    token = new_token()
    with secure_client(gateway.port(), mode) as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        assert client.command("RCPT TO:<b@refused.example.org>").code // 100 == 5
        assert client.command("DATA").code // 100 == 5
        client.expect(250, "RSET")
        client.send_message("a@example.net", ["b@example.org"], message(b"next\r\n", token))
        client.quit()
    assert_stored(server, token, b"next\r\n")


def test_how_a_session_ends_is_seen(gateway, mode):
    with secure_client(gateway.port(), mode) as client:
        client.quit()
    gateway.wait_for_log("ended=quit")
    with secure_client(gateway.port(), mode) as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
    gateway.wait_for_log("ended=client_(closed|lost)")


def test_a_client_that_goes_away_within_the_content(gateway, server, mode):
    """Half a message is none; the server is there for the next client."""
    half, whole = new_token(), new_token()
    with secure_client(gateway.port(), mode) as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.send(message(b"half a mess", half))
    with secure_client(gateway.port(), mode) as client:
        client.send_message("a@example.net", ["b@example.org"], message(b"whole\r\n", whole))
        client.quit()
    assert_stored(server, whole, b"whole\r\n")
    assert not [stored for stored in server.maildir.messages() if half.encode() in stored]


def test_the_gateway_greets_and_the_server_is_met_after_tls(start_gateway, server, mode):
    token = new_token()
    gateway = start_gateway({"address": f"127.0.0.1:{server.port}"}, mode=mode, greeting="gateway")
    with secure_client(gateway.port(), mode) as client:
        client.send_message("a@example.net", ["b@example.org"], message(b"late\r\n", token))
        client.quit()
    assert_stored(server, token, b"late\r\n")


def test_the_server_is_stopped(start_gateway, build_folder, folder, mode):
    """OpenSMTPD closes without a word: no client is told of a success."""
    server = OpenSmtpd(build_folder, f"{folder}/opensmtpd")
    try:
        gateway = start_gateway({"address": f"127.0.0.1:{server.port}"}, mode=mode)
        with secure_client(gateway.port(), mode) as client:
            client.expect(250, "MAIL FROM:<a@example.net>")
            server.stop()
            try:
                assert client.command("RCPT TO:<b@example.org>").code == 421
            except (Closed, OSError):
                pass
    finally:
        server.stop()
    wait_until(lambda: "ended=" in gateway.log(), "the session has ended")
