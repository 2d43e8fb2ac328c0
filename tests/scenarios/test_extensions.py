"""What servers offer, what clients are shown of it, and what they may use then."""

import base64

import pytest

from harness.client import Client
from harness.messages import message
from harness.scripted_server import Obedient

DANGEROUS = {
    "PRDR": "PRDR",
    "CHECKPOINT": "TRANSID=<1@client.example>",
    "REQUIRETLS": "REQUIRETLS",
    "XFOO": "XFOO=1",
    "UTF8SMTP": "ALT-ADDRESS=a@example.net",
    "BINARYMIME": "BODY=BINARYMIME",
}
VERBS = ["VERB", "BURL", "TURN", "ATRN", "ONEX", "XUSR", "SEND", "SAML", "SOML", "X-EXPS", "XEXCH50", "XFOO"]


@pytest.mark.parametrize("keyword", DANGEROUS)
def test_what_is_not_understood_is_neither_shown_nor_taken(start_gateway, scripted_server, keyword):
    server = scripted_server(Obedient(keywords=["PIPELINING", keyword, "8BITMIME"]))
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        assert keyword not in client.greeted().keywords()
        reply = client.expect(555, f"MAIL FROM:<a@example.net> BODY=8BITMIME {DANGEROUS[keyword]}")
        assert reply.text.startswith("5.5.4 ")
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert DANGEROUS[keyword].encode() not in server.received()
    assert len(server.messages()) == 1
    gateway.wait_for_log("messages=1 ")


def test_verbs_that_were_not_shown(start_gateway, scripted_server):
    server = scripted_server(Obedient(keywords=["PIPELINING", *VERBS]))
    gateway = start_gateway({"address": server.address}, limits={"errors": 50})
    with Client(gateway.port()) as client:
        assert set(client.greeted().keywords()) == {"PIPELINING", "STARTTLS"}
        for verb in VERBS:
            client.expect(502, f"{verb} FROM:<a@example.net>")
        client.expect(250, "NOOP")
        client.quit()
    assert {command.split()[0] for command in server.commands()} == {b"EHLO", b"NOOP", b"QUIT"}


class WithXfoo(Obedient):
    def on_xfoo(self, connection, line):
        self.answer(connection, "XFOO", "250 foo\r\n")


def test_what_the_operator_passes(start_gateway, scripted_server):
    server = scripted_server(WithXfoo(keywords=["XFOO bar", "XBAR", "PRDR"]))
    gateway = start_gateway({"address": server.address}, ehlo={"pass": ["xfoo"]})
    with Client(gateway.port()) as client:
        assert client.greeted().keywords() == {"XFOO": "bar", "STARTTLS": ""}
        client.expect(250, "XFOO now")
        client.expect(502, "XBAR now")
        client.expect(555, "MAIL FROM:<a@example.net> PRDR")
        client.expect(250, "MAIL FROM:<a@example.net> XFOO=1")
        client.quit()


@pytest.mark.parametrize("keywords", [[], ["8BITMIME"], ["SIZE 1000", "DSN", "STARTTLS"], ["STARTTLS"], ["XFOO"]])
def test_monitors_find_starttls(start_gateway, scripted_server, keywords):
    server = scripted_server(Obedient(keywords=keywords) if keywords else Obedient(helo_only=True))
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        assert b"\r\n250-STARTTLS\r\n" in client.greeted().raw
        client.starttls()
        assert "STARTTLS" not in client.expect(250, "EHLO client.example").keywords()
        client.quit()


def test_after_helo_a_client_says_what_others_take(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.expect(220)
        client.expect(250, "HELO client.example")
        client.expect(555, "MAIL FROM:<a@example.net> PRDR")
        client.expect(250, "MAIL FROM:<a@example.net> SIZE=100 BODY=8BITMIME")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.quit()
    assert b"MAIL FROM:<a@example.net> SIZE=100 BODY=8BITMIME\r\n" in server.received()


@pytest.mark.parametrize("hello", ["EHLO", "EHLO ", "HELO"])
def test_no_name_is_for_the_server_to_judge(start_gateway, scripted_server, hello):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.expect(220)
        client.expect(250, hello)
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.quit()
    assert server.commands()[0] == hello.strip().encode() + b"\r\n"


# --- AUTH


class Authority(Obedient):
    """Takes any mechanism: a challenge of `length` octets, and then whatever comes."""

    def __init__(self, length, **options):
        super().__init__(**options)
        self.length = length

    def on_auth(self, connection, line):
        self.answer(connection, "CHALLENGE", b"334 " + b"x" * self.length + b"\r\n")
        connection.commands.append(connection.line())
        self.answer(connection, "AUTH", "235 2.7.0 authenticated\r\n")

    def answer(self, connection, verb, usual):
        if isinstance(usual, str):
            return super().answer(connection, verb, usual)
        connection.send(usual)
        return usual


@pytest.mark.parametrize("challenge, response", [(8000, 100), (12288, 12288), (0, 5000), (500, 12288)])
@pytest.mark.parametrize("in_tls", [False, True])
def test_long_challenges_and_responses(start_gateway, scripted_server, challenge, response, in_tls):
    server = scripted_server(Authority(challenge, keywords=["AUTH GSSAPI"]))
    gateway = start_gateway({"address": server.address}, auth_requires_tls=False)
    with Client(gateway.port()) as client:
        client.greeted()
        if in_tls:
            client.starttls()
            client.expect(250, "EHLO client.example")
        assert client.expect(334, "AUTH GSSAPI").text == "x" * challenge
        client.expect(235, "y" * response)
        client.quit()
    assert b"y" * response + b"\r\n" in server.commands()


@pytest.mark.parametrize("lines", [["AUTH PLAIN", "AUTH=LOGIN"], ["auth=plain login"], ["AUTH\tPLAIN  LOGIN", "AUTH PLAIN"]])
def test_mechanisms_are_what_was_shown(start_gateway, scripted_server, lines):
    server = scripted_server(Obedient(keywords=[*lines, "PIPELINING"]))
    gateway = start_gateway({"address": server.address}, auth_requires_tls=False)
    with Client(gateway.port()) as client:
        reply = client.greeted()
        assert reply.keywords()["AUTH"].upper() == "PLAIN LOGIN"
        assert ("AUTH=PLAIN" in reply.text.upper()) == any("=" in line for line in lines)
        client.expect(504, "AUTH CRAM-MD5")
        client.expect(504, "AUTH XOAUTH2 " + base64.b64encode(b"x").decode())
        client.expect(235, "AUTH plain " + base64.b64encode(b"\0u\0p").decode())
        client.quit()
    assert b"CRAM" not in server.received() and b"XOAUTH2" not in server.received()


@pytest.mark.parametrize("settings", [{}, {"ehlo": {"hide": ["AUTH"]}, "auth_requires_tls": False}])
def test_both_spellings_are_hidden(start_gateway, scripted_server, settings):
    server = scripted_server(Obedient(keywords=["AUTH PLAIN", "AUTH=PLAIN", "PIPELINING"]))
    gateway = start_gateway({"address": server.address}, **settings)
    with Client(gateway.port()) as client:
        assert "AUTH" not in client.greeted().text
        assert client.command("AUTH PLAIN AHUAcA==").code in (502, 538)
        client.quit()
    assert b"AUTH" not in server.received()
