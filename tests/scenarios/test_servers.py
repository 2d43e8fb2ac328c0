"""Real servers without TLS behind the gateway: what they store, and whom they take the client for."""

import pytest

from harness.client import Client, secure_client
from harness.maildir import Maildir, body_of, sha256, with_crlf
from harness.messages import DEMANDING_BODIES, PLAIN_BODIES, message, new_token
from harness.ports import free_port

MODES = ["starttls", "implicit"]


def deliver(port, body, mode="starttls", source=None, by_bdat=False, token=None):
    """One message through the gateway; returns its token and the server's last reply."""
    token = token or new_token()
    with secure_client(port, mode, source=source) as client:
        send = client.send_message_by_bdat if by_bdat else client.send_message
        reply = send("a@example.net", ["b@example.org"], message(body, token))
        client.quit()
    return token.encode(), reply


def assert_same_body(stored, body):
    assert sha256(body_of(stored)) == sha256(body)


@pytest.mark.parametrize("mode", MODES)
def test_the_sink_gets_every_body_unchanged(start_gateway, sink, mode):
    gateway = start_gateway({"address": sink.address}, mode=mode)
    for by_bdat in (False, True):
        for name, body in DEMANDING_BODIES.items():
            token, _ = deliver(gateway.port(), body, mode, by_bdat=by_bdat)
            stored = sink.maildir.wait_for(token)
            assert sha256(body_of(stored)) == sha256(body), f"{name}, {'BDAT' if by_bdat else 'DATA'}"


@pytest.mark.parametrize("client_address", ["none", "xclient", "proxy_v1", "proxy_v2"])
def test_postfix_gets_every_body_unchanged(start_gateway, postfix, client_address):
    port = {"none": postfix.plain, "xclient": postfix.xclient}.get(client_address, postfix.proxy)
    gateway = start_gateway({"address": f"127.0.0.1:{port}", "client_address": client_address})
    for body in PLAIN_BODIES.values():
        token, _ = deliver(gateway.port(), body)
        assert_same_body(postfix.maildir.wait_for(token), body)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("client_address", ["xclient", "proxy_v1", "proxy_v2"])
def test_postfix_knows_the_client(start_gateway, postfix, client_address, mode):
    port = postfix.xclient if client_address == "xclient" else postfix.proxy
    gateway = start_gateway({"address": f"127.0.0.1:{port}", "client_address": client_address}, mode=mode)
    token, _ = deliver(gateway.port(), b"where from?\r\n", mode, source="127.0.0.77")
    stored = postfix.maildir.wait_for(token)
    assert b"from client.example (unknown [127.0.0.77])" in stored
    postfix.wait_for_log(r"client=unknown\[127\.0\.0\.77\]")


def test_postfix_takes_the_gateway_for_the_client_where_no_address_is_passed_on(start_gateway, postfix):
    """... and relays for everybody: why the gateway asks for a relay guard."""
    gateway = start_gateway({"address": f"127.0.0.1:{postfix.plain}"})
    token, _ = deliver(gateway.port(), b"hidden\r\n", source="127.0.0.78")
    assert b"(unknown [127.0.0.1])" in postfix.maildir.wait_for(token)
    with secure_client(gateway.port(), "starttls", source="127.0.0.78") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@elsewhere.example>")


@pytest.mark.parametrize("client_address", ["xclient", "proxy_v1", "proxy_v2"])
def test_postfix_does_not_relay_for_a_client_that_it_knows(start_gateway, postfix, client_address):
    port = postfix.xclient if client_address == "xclient" else postfix.proxy
    gateway = start_gateway({"address": f"127.0.0.1:{port}", "client_address": client_address})
    with secure_client(gateway.port(), "starttls", source="127.0.0.79") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(554, "RCPT TO:<b@elsewhere.example>")
        client.expect(250, "RCPT TO:<b@example.org>")


@pytest.mark.parametrize("client_address", ["xclient", "proxy_v1", "proxy_v2"])
def test_postfix_knows_a_client_behind_a_balancer(start_gateway, postfix, client_address):
    port = postfix.xclient if client_address == "xclient" else postfix.proxy
    gateway = start_gateway(
        {"address": f"127.0.0.1:{port}", "client_address": client_address},
        accept_proxy_protocol_from=["127.0.0.0/8"],
    )
    token = new_token()
    with Client(gateway.port()) as client:
        client.send(b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 25\r\n")
        client.greeted("before.example")
        client.starttls()
        client.expect(250, "EHLO after.example")
        client.send_message("a@example.net", ["b@example.org"], message(b"far\r\n", token))
        client.quit()
    assert b"from after.example (unknown [192.0.2.9])" in postfix.maildir.wait_for(token.encode())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("client_address", ["xclient", "proxy_v1", "proxy_v2"])
def test_postfix_knows_the_client_where_the_gateway_greets(start_gateway, postfix, client_address, mode):
    port = postfix.xclient if client_address == "xclient" else postfix.proxy
    backend = {"address": f"127.0.0.1:{port}", "client_address": client_address}
    gateway = start_gateway(backend, mode=mode, greeting="gateway")
    token, _ = deliver(gateway.port(), b"where from?\r\n", mode, source="127.0.0.83")
    assert b"from client.example (unknown [127.0.0.83])" in postfix.maildir.wait_for(token)


def test_postfix_takes_chunks(start_gateway, postfix):
    gateway = start_gateway({"address": f"127.0.0.1:{postfix.plain}"})
    body = PLAIN_BODIES["1 MiB"]
    token, _ = deliver(gateway.port(), body, by_bdat=True)
    assert_same_body(postfix.maildir.wait_for(token), body)


def test_exim_over_tcp(start_gateway, exim):
    gateway = start_gateway({"address": f"127.0.0.1:{exim.port}"})
    for body in PLAIN_BODIES.values():
        for by_bdat in (False, True):
            token, _ = deliver(gateway.port(), body, by_bdat=by_bdat)
            assert_same_body(exim.maildir.wait_for(token), body)


def test_exim_under_exec(start_gateway, exim):
    gateway = start_gateway({"exec": exim.exec_argv})
    for body in PLAIN_BODIES.values():
        token, _ = deliver(gateway.port(), body, "starttls")
        assert_same_body(exim.maildir.wait_for(token), body)


def test_exim_under_exec_is_told_the_client(start_gateway, exim):
    shell = 'exec "$$@" -oMa "$$TCPREMOTEIP"'  # two dollars stand for one in a configuration
    gateway = start_gateway({"exec": ["/bin/sh", "-c", shell, "sh", *exim.exec_argv]})
    token, _ = deliver(gateway.port(), b"where from?\r\n", source="127.0.0.80")
    assert b"[127.0.0.80]" in exim.maildir.wait_for(token)
    with secure_client(gateway.port(), "starttls", source="127.0.0.80") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(550, "RCPT TO:<b@elsewhere.example>")


@pytest.mark.parametrize("mode", MODES)
def test_mailfront_under_exec(start_gateway, mailfront, mode):
    gateway = start_gateway({"exec": mailfront.argv}, mode=mode)
    maildir = Maildir(mailfront.mail)
    for body in PLAIN_BODIES.values():
        token, _ = deliver(gateway.port(), body, mode, source="127.0.0.81")
        stored = maildir.wait_for(token)
        assert b"from client.example ([127.0.0.81])" in with_crlf(stored).split(b"\r\n\r\n")[0]
        assert_same_body(stored, body)


def test_two_messages_and_a_reset_in_one_session(start_gateway, postfix):
    gateway = start_gateway({"address": f"127.0.0.1:{postfix.xclient}", "client_address": "xclient"})
    first, dropped, second = (new_token() for _ in range(3))
    with secure_client(gateway.port(), "starttls") as client:
        client.send_message("a@example.net", ["b@example.org"], message(b"1\r\n", first))
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, f"RCPT TO:<{dropped}@example.org>")
        client.expect(250, "RSET")
        client.expect(503, "DATA")
        client.send_message("a@example.net", ["b@example.org"], message(b"2\r\n", second))
        client.quit()
    assert_same_body(postfix.maildir.wait_for(first.encode()), b"1\r\n")
    assert_same_body(postfix.maildir.wait_for(second.encode()), b"2\r\n")


@pytest.mark.parametrize("client_address", ["xclient", "proxy_v1", "proxy_v2"])
def test_postfix_knows_an_ipv6_client(start_gateway, postfix, client_address):
    port = postfix.xclient if client_address == "xclient" else postfix.proxy
    backend = {"address": f"127.0.0.1:{port}", "client_address": client_address}
    gateway = start_gateway(backend, listen=[f"[::1]:{free_port()}"])
    token = new_token()
    with Client(gateway.port(), host="::1") as client:
        client.greeted()
        client.send_message("a@example.net", ["b@example.org"], message(b"6\r\n", token))
    assert b"[IPv6:::1]" in postfix.maildir.wait_for(token.encode())
