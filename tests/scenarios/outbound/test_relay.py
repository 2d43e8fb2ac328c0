"""Everything goes to one relay, with credentials that the legacy client does not have."""

import base64

import pytest
import senders
import world as places
from firewall import PORT

from harness.messages import message, new_token
from harness.ports import wait_until
from harness.scripted_server import Remote

RELAY = "mx.scripted.example"
SECRET = "opensesame"
RESPONSES = {
    "plain": [b"\0device@example.org\0opensesame"],
    "login": [b"device@example.org", b"opensesame"],
    "xoauth2": [b"user=device@example.org\1auth=Bearer opensesame\1\1"],
    "oauthbearer": [b"n,a=device@example.org,\1auth=Bearer opensesame\1\1"],
}


class Relay(Remote):
    """Offers AUTH within TLS, as all do."""

    def keywords_for(self, connection):
        offered = super().keywords_for(connection)
        return [*offered, "AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER"] if connection.in_tls else offered


@pytest.fixture
def secret_file(folder):
    path = f"{folder}/secret"
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{SECRET}\n")
    return path


def with_relay(secret_file, mechanism="plain", mode="starttls", address=f"{RELAY}:25", **more):
    key = "password_file" if mechanism in ("plain", "login") else "token_file"
    auth = {"mechanism": mechanism, "username": "device@example.org", key: secret_file, **more}
    return {"route": "relay", "relay": {"address": address, "mode": mode, "auth": auth}}


def send(world, token=None):
    """To two domains at once: a relay takes them all. The reply to the first command that is refused, or None."""
    with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
        client.expect(220)
        reply = client.command("EHLO device.example")
        if reply.code != 250:
            return reply
        assert "AUTH" not in reply.keywords()
        client.expect(250, "MAIL FROM:<device@example.org>")
        for recipient in ("user@trusted.example", "user@dane-mismatch.example"):
            reply = client.command(f"RCPT TO:<{recipient}>")
            if reply.code != 250:
                return reply
        client.expect(354, "DATA")
        client.send(message(token=token or new_token()) + b".\r\n")
        client.expect(250)
        client.quit()
    return None


def responses(server):
    """What the client of the relay has said by AUTH, decoded."""
    said = []
    for number, line in enumerate(commands := server.commands()):
        words = line.split()
        if words[0].upper() == b"AUTH":
            said += words[2:] or [commands[number + 1].strip()]
            said += [commands[number + 2].strip()] if words[1:] == [b"LOGIN"] else []
    return [base64.b64decode(word) for word in said]


@pytest.mark.parametrize("mechanism", RESPONSES)
@pytest.mark.parametrize("mode, port", [("starttls", 587), ("implicit", 465)])
def test_credentials_are_added(world, start_gateway, secret_file, mechanism, mode, port):
    token = new_token()
    start_gateway(**with_relay(secret_file, mechanism, mode, f"{RELAY}:{port}"))
    with world.serve(kind=Relay, port=port, implicit=mode == "implicit") as server:
        assert send(world, token) is None
        assert [token.encode() in content for content in server.messages()] == [True]
        assert responses(server) == RESPONSES[mechanism]
        assert b"AUTH" not in server.plain() and SECRET.encode() not in server.plain()
        assert server.connections[-1].asked_for == RELAY


def test_a_new_secret_is_read(world, start_gateway, secret_file):
    gateway = start_gateway(**with_relay(secret_file))

    def write(content):
        read_before = gateway.log().count("a file was read again")
        with open(secret_file, "wb") as file:
            file.write(content)
        wait_until(lambda: gateway.log().count("a file was read again") > read_before, "it is read again", timeout=5)

    with world.serve(kind=Relay) as server:
        assert send(world) is None
        write(b"newsesame\n")
        assert send(world) is None
        write(b"\xef\xbb\xbfedited\r\n\r\n")
        assert send(world) is None
        passwords = [response.rpartition(b"\0")[2] for response in responses(server)]
        assert passwords == [b"opensesame", b"newsesame", b"edited"]


# A relay that has not proved who it is: only its address is known, so that no certificate can name it.
NAMELESS = f"{places.SCRIPTED['4']}:25"


def test_a_relay_that_proves_nothing_gets_no_credentials(world, start_gateway, secret_file):
    start_gateway(**with_relay(secret_file, address=NAMELESS))
    with world.serve(kind=Relay) as server:
        assert send(world).raw.startswith(b"451 4.7.5 ")
        assert responses(server) == [] and SECRET.encode() not in server.received()


def test_but_for_an_operator_who_says_so(world, start_gateway, secret_file):
    start_gateway(**with_relay(secret_file, address=NAMELESS, allow_unauthenticated=True))
    with world.serve(kind=Relay) as server:
        assert send(world) is None
        assert responses(server) == RESPONSES["plain"]


@pytest.mark.parametrize("code, options", [("4.7.4", {"offer": "XXXXXXXA"}), ("4.7.5", {"dies_at": "HELLO?"})])
def test_credentials_never_leave_in_plaintext(world, start_gateway, secret_file, code, options):
    start_gateway(**with_relay(secret_file, allow_unauthenticated=True))
    with world.serve(kind=Relay, **options) as server:
        assert senders.refused(send(world)) == code
        assert SECRET.encode() not in server.plain() and b"AUTH" not in server.plain()
        assert b"MAIL" not in server.plain()


def test_a_relay_that_refuses_the_credentials(world, start_gateway, secret_file):
    start_gateway(**with_relay(secret_file))
    with world.serve(kind=Relay, replies={"AUTH": "535 5.7.8 no\r\n"}) as server:
        assert send(world).raw.startswith(b"451 4.7.8 ")
        assert b"MAIL" not in server.received()


class StrictRelay(Relay):
    """Command lines have 512 octets at most; a token may be longer."""

    def on_auth(self, connection, line):
        words = line.split()
        if len(line) > 512:
            return self.answer(connection, "AUTH", "500 5.5.2 Line too long\r\n")
        if len(words) < 3:
            self.answer(connection, "CHALLENGE", "334 \r\n")
            connection.commands.append(connection.line())
        return self.answer(connection, "AUTH", "235 2.7.0 authenticated\r\n")


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer", "plain"])
def test_long_secrets_follow_the_challenge(world, start_gateway, secret_file, mechanism):
    secret = "t" * 3000
    with open(secret_file, "w", encoding="ascii") as file:
        file.write(secret)
    start_gateway(**with_relay(secret_file, mechanism))
    with world.serve(kind=StrictRelay) as server:
        assert send(world) is None
        commands = server.commands()
        assert f"AUTH {mechanism.upper()}\r\n".encode() in commands
        assert max(len(line) for line in commands if line.startswith(b"AUTH")) <= 512
        assert secret.encode() in base64.b64decode(commands[commands.index(f"AUTH {mechanism.upper()}\r\n".encode()) + 1])


class NoInitialResponse(Relay):
    """Knows AUTH as it was before the initial response."""

    def on_auth(self, connection, line):
        if len(line.split()) > 2:
            return self.answer(connection, "INITIAL", "501 5.5.4 Syntax: AUTH mechanism\r\n")
        self.answer(connection, "CHALLENGE", "334 \r\n")
        connection.commands.append(connection.line())
        return self.answer(connection, "AUTH", "235 2.7.0 authenticated\r\n")


def test_an_initial_response_that_is_refused_is_left_out(world, start_gateway, secret_file):
    start_gateway(**with_relay(secret_file))
    with world.serve(kind=NoInitialResponse) as server:
        assert send(world) is None
        assert [line.split()[:2] for line in server.commands() if line.startswith(b"AUTH")] == [[b"AUTH", b"PLAIN"]] * 2
        assert len(server.messages()) == 1


class OldRelay(Remote):
    def keywords_for(self, connection):
        offered = super().keywords_for(connection)
        return [*offered, "AUTH=PLAIN LOGIN"] if connection.in_tls else offered


def test_an_old_spelling_of_auth_is_read(world, start_gateway, secret_file):
    start_gateway(**with_relay(secret_file))
    with world.serve(kind=OldRelay) as server:
        assert send(world) is None
        assert responses(server) == RESPONSES["plain"]


@pytest.mark.parametrize("reply", ["454 4.7.0 temporary failure", "421 4.3.2 closing", "450 later"])
def test_a_relay_that_cannot_say_now(world, start_gateway, secret_file, reply):
    gateway = start_gateway(**with_relay(secret_file))
    with world.serve(kind=Relay, replies={"AUTH": f"{reply}\r\n"}) as server:
        refusal = send(world).raw
        assert refusal.startswith(b"451 4.7.0 ") and reply.encode() in refusal
        assert b"MAIL" not in server.received() and len(responses(server)) == 1
    gateway.wait_for_log("auth_deferred")
    assert "credentials_refused" not in gateway.log()


def test_a_relay_that_is_not_asked_is_not_quoted(world, start_gateway, secret_file):
    gateway = start_gateway(**with_relay(secret_file, "xoauth2"))
    with world.serve(kind=OldRelay):
        refusal = send(world).raw
        assert refusal.startswith(b"451 4.7.8 ")
        assert b"does not offer AUTH XOAUTH2, only PLAIN LOGIN" in refusal and b"504" not in refusal
    gateway.wait_for_log("auth_not_offered")


# --- what clients are offered of a relay's extensions

DANGEROUS = {"PRDR": "PRDR", "CHECKPOINT": "TRANSID=<1@example.org>", "REQUIRETLS": "REQUIRETLS", "XFOO": "XFOO=1"}


@pytest.mark.parametrize("keyword", DANGEROUS)
def test_what_is_not_understood_is_neither_shown_nor_taken(world, start_gateway, keyword):
    start_gateway(route="relay", relay={"address": f"{RELAY}:25"})
    with world.serve(keywords=["PIPELINING", keyword, "HELP", "DSN"]) as server:
        with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
            assert set(client.greeted("device.example").keywords()) == {"PIPELINING", "DSN"}
            client.expect(555, f"MAIL FROM:<device@example.org> {DANGEROUS[keyword]}")
            client.expect(502, "VERB")
            client.send_message("device@example.org", ["user@trusted.example"], message())
            client.quit()
        assert len(server.messages()) == 1
        assert b"VERB" not in server.received() and DANGEROUS[keyword].encode() not in server.received()


@pytest.mark.parametrize("hello", ["EHLO", "HELO"])
def test_for_a_client_without_a_name_the_relay_is_told_ours(world, start_gateway, hello):
    start_gateway(route="relay", relay={"address": f"{RELAY}:25"})
    with world.serve() as server:
        with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
            client.expect(220)
            client.expect(250, hello)
            client.send_message("device@example.org", ["user@trusted.example"], message())
            client.quit()
        assert {line for line in server.commands() if line.startswith(b"EHLO")} == {b"EHLO gateway.example.org\r\n"}
