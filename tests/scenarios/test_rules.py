"""What the gateway refuses on its own: relaying, AUTH and mail without TLS, verbs that are not for clients."""

import pytest

from harness.client import Client, secure_client
from harness.messages import message
from harness.scripted_server import DEFAULT_KEYWORDS, Obedient

AUTH_KEYWORDS = (*DEFAULT_KEYWORDS, "AUTH PLAIN LOGIN CRAM-MD5", "AUTH=LOGIN")


def reaches(server, octets):
    return octets.lower() in server.received().lower()


# --- relay guard

ALLOWED = ["b@example.org", "b@EXAMPLE.ORG", "postmaster", "Postmaster", "b@sub.example.net", '"b c"@example.org']
DENIED = [
    "b@elsewhere.example",
    "b@notexample.org",
    "b@example.net",
    "b@example.org.evil.example",
    "b%elsewhere.example@example.org",
    "elsewhere.example!b@example.org",
    '"b@elsewhere.example"@example.org',
    "@example.org:b@elsewhere.example",
    "@elsewhere.example:b@example.org",
    "b@elsewhere.example@example.org",
    "b",
    "b@[192.0.2.1]",
    "",
]


def test_relay_guard(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway(
        {"address": server.address},
        allow_open_relay_risk=False,
        recipients={"allow_domains": ["example.org", ".example.net"]},
        limits={"errors": 1000},
    )
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        for recipient in ALLOWED:
            client.expect(250, f"RCPT TO:<{recipient}>")
        for recipient in DENIED:
            for form in (f"RCPT TO:<{recipient}>", f"rcpt to: <{recipient}>", f"RCPT TO:<{recipient}> NOTIFY=NEVER"):
                reply = client.command(form)
                assert reply.code // 100 == 5, f"{form}: {reply}"
        assert str(client.command("RCPT TO:<b@elsewhere.example>")).startswith("550 5.7.1")
        client.quit()
    seen = [line for line in server.commands() if line.lower().startswith(b"rcpt")]
    assert len(seen) == len(ALLOWED), seen
    assert not reaches(server, b"elsewhere")


def test_who_authenticated_may_relay(start_gateway, scripted_server):
    server = scripted_server(Obedient(keywords=AUTH_KEYWORDS))
    gateway = start_gateway(
        {"address": server.address}, allow_open_relay_risk=False, recipients={"allow_domains": ["example.org"]}
    )
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(550, "RCPT TO:<b@elsewhere.example>")
        client.expect(250, "RSET")
        client.expect(235, "AUTH PLAIN AGEAYg==")
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@elsewhere.example>")
        client.quit()


def test_who_failed_to_authenticate_may_not_relay(start_gateway, scripted_server):
    server = scripted_server(Obedient(keywords=AUTH_KEYWORDS, replies={"AUTH": "535 5.7.8 no\r\n"}))
    gateway = start_gateway({"address": server.address}, recipients={"allow_domains": ["example.org"]})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(535, "AUTH PLAIN AGEAYg==")
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(550, "RCPT TO:<b@elsewhere.example>")
        # Pipelined behind an AUTH whose outcome is not known yet.
        client.send(b"RSET\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@elsewhere.example>\r\n")
        assert [client.reply().code for _ in range(4)] == [250, 535, 250, 550]
    assert not reaches(server, b"elsewhere")


# --- require_tls


def test_require_tls(start_gateway, scripted_server):
    server = scripted_server(Obedient(keywords=AUTH_KEYWORDS))
    gateway = start_gateway({"address": server.address}, require_tls=True, auth_requires_tls=False)
    refused = [
        "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.org>", "DATA", "BDAT 0 LAST", "AUTH PLAIN AGEAYg==",
        "VRFY b", "EXPN b", "HELP", "ETRN example.org", "WHATEVER",
    ]  # fmt: skip
    with Client(gateway.port()) as client:
        client.greeted()
        for command in refused:
            reply = client.command(command)
            assert str(reply) == "530 5.7.0 Must issue a STARTTLS command first", f"{command}: {reply}"
        assert client.command("XCLIENT ADDR=192.0.2.1").code in (530, 550)
        for command in ("NOOP", "RSET", "HELO client.example", "EHLO client.example"):
            client.expect(250, command)
        client.starttls()
        client.expect(250, "EHLO client.example")
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    before = server.received().partition(b"MAIL FROM:<a@example.net>")[0]
    for verb in (b"RCPT", b"DATA", b"BDAT", b"AUTH", b"VRFY", b"XCLIENT", b"WHATEVER"):
        assert verb not in before
    assert len(server.messages()) == 1


# --- AUTH


def test_auth_is_hidden_and_refused_before_tls(start_gateway, scripted_server):
    server = scripted_server(Obedient(keywords=AUTH_KEYWORDS))
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        assert not any(word.startswith("AUTH") for word in client.greeted().keywords())
        assert str(client.command("AUTH PLAIN AHNlY3JldAB3b3Jk")).startswith("538 5.7.11")
        assert str(client.command("AUTH LOGIN")).startswith("538 5.7.11")
        client.starttls()
        assert "AUTH" in client.expect(250, "EHLO client.example").keywords()
    assert not reaches(server, b"AUTH")


@pytest.mark.parametrize(
    "exchange",
    [
        ["AUTH PLAIN AHNlY3JldAB3b3Jk"],
        ["AUTH PLAIN", "AHNlY3JldAB3b3Jk"],
        ["AUTH LOGIN", "c2VjcmV0", "d29yZA=="],
        ["AUTH CRAM-MD5", "c2VjcmV0IGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"],
        ["AUTH LOGIN", "UVVJVA==", "STARTTLS"],  # answers that look like commands are answers
    ],
    ids=["PLAIN at once", "PLAIN", "LOGIN", "CRAM-MD5", "answers like commands"],
)
def test_auth_through_to_the_server(start_gateway, scripted_server, exchange):
    server = scripted_server(Obedient(keywords=AUTH_KEYWORDS))
    gateway = start_gateway({"address": server.address}, top={"log": {"level": "debug"}})
    with secure_client(gateway.port(), "starttls") as client:
        for line in exchange[:-1]:
            client.expect(334, line)
        client.expect(235, exchange[-1])
        client.send_message("a@example.net", ["b@elsewhere.example"], message())
        client.quit()
    lines = [line.decode().strip() for line in server.commands()]
    start = lines.index(exchange[0])
    assert lines[start : start + len(exchange)] == exchange
    gateway.wait_for_log("quit")
    for secret in ("AHNlY3JldAB3b3Jk", "c2VjcmV0", "d29yZA=="):
        assert secret not in gateway.log()


# --- verbs


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_xclient_and_xforward_from_clients(start_gateway, scripted_server, mode):
    server = scripted_server(Obedient(keywords=(*DEFAULT_KEYWORDS, "XCLIENT NAME ADDR", "XFORWARD NAME ADDR")))
    gateway = start_gateway({"address": server.address}, mode=mode)
    with secure_client(gateway.port(), mode) as client:
        for verb in ("XCLIENT", "xclient", "XFORWARD"):
            assert str(client.command(f"{verb} ADDR=192.0.2.1")).startswith("550 5.7.0")
        client.send(b"NOOP\r\nXCLIENT ADDR=192.0.2.1\r\nNOOP\r\n")
        assert [client.reply().code for _ in range(3)] == [250, 550, 250]
    assert not reaches(server, b"192.0.2.1")


def test_bdat_that_was_not_offered(start_gateway, scripted_server):
    server = scripted_server(Obedient(keywords=("PIPELINING",)))
    gateway = start_gateway({"address": server.address})
    with secure_client(gateway.port(), "starttls") as client:
        assert "CHUNKING" not in client.expect(250, "EHLO again").keywords()
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.send(b"BDAT 21 LAST\r\nRCPT TO:<x@y.example>\r\n")
        replies = [client.reply().code]
        client.send(b"NOOP\r\n")
        replies.append(client.reply().code)
    assert replies[0] // 100 == 5
    assert not reaches(server, b"BDAT")


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT a:25 HTTP/1.1", "get / HTTP/1.1"])
def test_http_is_hung_up_on(start_gateway, scripted_server, line):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.expect(220)
        client.send(f"{line}\r\nHost: a\r\n\r\nMAIL FROM:<injected@example.net>\r\n".encode())
        assert client.rest().startswith(b"221 2.7.0")
    assert not reaches(server, b"injected") and not reaches(server, b"HTTP")


def test_lines_over_the_limit_are_discarded_whole(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, limits={"command_length": 1000, "errors": 20})
    with secure_client(gateway.port(), "starttls") as client:
        longest = b"NOOP " + b"x" * (1000 - 7)
        client.expect(250, longest)
        for length in (999, 5000, 1_000_000):
            client.send(b"NOOP " + b"MAIL FROM:<x@y>" * (length // 10) + b"\r\n")
            assert str(client.reply()).startswith("500 5.5.2")
        client.expect(250, "NOOP")
        client.quit()
    assert not reaches(server, b"x@y")


def test_too_many_errors(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, limits={"errors": 5})
    with secure_client(gateway.port(), "starttls") as client:
        codes = []
        for _ in range(10):
            reply = client.command("XCLIENT ADDR=192.0.2.1")
            codes.append(reply.code)
            if reply.code == 421:
                assert str(reply).startswith("421 4.7.0")
                break
        assert client.rest() == b""
    assert codes[:-1] == [550] * (len(codes) - 1) and codes[-1] == 421 and 5 <= len(codes) <= 6


def test_malformed_commands(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, limits={"errors": 1000})
    with secure_client(gateway.port(), "starttls") as client:
        for line in (b"NO\0OP", b"NOOP\rRSET", b"MAIL FROM:<a@b.example>\rRCPT TO:<smuggled@example.org>", b"\r"):
            client.send(line + b"\r\n")
            assert client.reply().code // 100 == 5, line
        client.expect(250, "NOOP")
    assert not reaches(server, b"smuggled") and b"\0" not in server.received()


def test_commands_that_end_in_a_bare_lf(start_gateway, scripted_server):
    """Each is refused, or is a command like any other: answered for itself, and CRLF towards the server."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, recipients={"allow_domains": ["example.org"]})
    with secure_client(gateway.port(), "starttls") as client:
        client.send(b"NOOP\nMAIL FROM:<a@example.net>\nRCPT TO:<x@elsewhere.example>\nXCLIENT ADDR=1.2.3.4\r\nNOOP\r\n")
        replies = [client.reply().code for _ in range(3)]
        client.send(b"QUIT\r\n")
        replies += [int(line[:3]) for line in client.rest().splitlines()]
    assert replies[-1] == 221 and 550 in replies
    assert not reaches(server, b"elsewhere") and not reaches(server, b"XCLIENT")
    assert b"\n" not in server.received().replace(b"\r\n", b"")


def test_ehlo_is_rewritten(start_gateway, scripted_server):
    server = scripted_server(Obedient(keywords=("SIZE 50000000", "VRFY", "ETRN", "8BITMIME", "X-EXPS GSSAPI")))
    ehlo = {"name": "front.example.org", "hide": ["VRFY", "ETRN"], "add": ["PIPELINING"], "size_limit": "1MiB"}
    gateway = start_gateway({"address": server.address}, ehlo=ehlo)
    with Client(gateway.port()) as client:
        assert client.expect(220).text.startswith("front.example.org")
        reply = client.expect(250, "EHLO client.example")
        assert reply.lines[0].startswith("front.example.org")
        assert reply.keywords() == {"SIZE": "1048576", "8BITMIME": "", "PIPELINING": "", "STARTTLS": ""}
        client.starttls()
        assert "STARTTLS" not in client.expect(250, "EHLO client.example").keywords()
        assert client.command("MAIL FROM:<a@example.net> SIZE=2000000").code == 552
        client.expect(250, "MAIL FROM:<a@example.net> SIZE=1000")


def test_a_message_over_the_size_limit(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, ehlo={"size_limit": "64KiB"})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.send(b"x" * 98 + b"\r\n")
        try:
            client.send((b"y" * 98 + b"\r\n") * 5000 + b".\r\n")
        except OSError:
            pass
        assert client.reply().code == 552
    assert server.messages() == []
