"""Relays that are lost, late, silent or no SMTP servers before they have taken a recipient, and clients that are gone."""

import concurrent.futures
import contextlib
import re
import socket
import time

import pytest

from harness.client import Client
from harness.gateway import Gateway
from harness.ports import PATIENCE, wait_until
from harness.scripted_server import HangUp, Obedient, ScriptedServer, reset

BARE = ("SIZE 1000000",)  # no PIPELINING
PIPELINING = ("PIPELINING", "SIZE 1000000")


@pytest.fixture
def start_relaying(postern, folder):
    """start_relaying(server, **settings of the listener). What is still there is stopped and must end with 0."""
    with contextlib.ExitStack() as ends:

        def start(server, **listener):
            relay = {"route": "relay", "relay": {"address": server.address}, "level": "may", **listener}
            gateway = Gateway(postern, f"{folder}/gateway", outbound={"relay": relay}).start()
            ends.callback(gateway.kill)
            ends.callback(gateway.stop)
            return gateway

        yield start


@contextlib.contextmanager
def serving(script):
    with ScriptedServer(script) as server:
        yield server


def hangs_up(at):
    def step(connection, name):
        if name == at:
            raise HangUp

    return step


def resets(at):
    def step(connection, name):
        if name == at:
            reset(connection)

    return step


def begin(gateway, sender="MAIL FROM:<a@legacy.example>"):
    client = Client(gateway.port("relay"))
    client.expect(220)
    client.expect(250, "EHLO legacy.example")
    client.expect(250, sender)
    return client


MISDEEDS = {
    "closes": {"at_step": hangs_up("MAIL?")},
    "resets": {"at_step": resets("MAIL?")},
    "closes behind its reply": {"at_step": hangs_up("MAIL!")},
    "garbage": {"replies": {"MAIL": "what?\r\n"}},
    "354": {"replies": {"MAIL": "354 go ahead\r\n"}},
    "two replies": {"replies": {"MAIL": "250 a\r\n250 b\r\n"}},
    "two codes": {"replies": {"MAIL": "250-a\r\n451 b\r\n"}},
    "too long": {"replies": {"MAIL": f"250 {'x' * 5000}\r\n"}},
    "too many lines": {"replies": {"MAIL": "250-x\r\n" * 1100}},
}


@pytest.mark.parametrize("keywords", [BARE, PIPELINING], ids=["one at a time", "pipelining"])
@pytest.mark.parametrize("case", MISDEEDS)
def test_a_relay_is_not_called_again_and_again(start_relaying, case, keywords):
    if case == "two replies" and keywords is PIPELINING:
        pytest.skip("the second is one to the recipient, as far as anybody can tell")
    with serving(Obedient(keywords=keywords, **MISDEEDS[case])) as server:
        gateway = start_relaying(server)
        with begin(gateway) as client:
            begun = time.monotonic()
            assert str(client.command("RCPT TO:<b@remote.example>")).startswith("451 4.4.2 ")
            assert time.monotonic() - begun < 30
            client.expect(221, "QUIT")
        gateway.wait_for_log(r"session ended .*ended=quit .*reason=")
        assert len(server.connections) == 1
        assert gateway.log().count("\n") < 20


def test_the_sentence_is_in_reply_and_log(start_relaying):
    with serving(Obedient(keywords=BARE, replies={"MAIL": "what?\r\n"})) as server:
        gateway = start_relaying(server)
        with begin(gateway) as client:
            assert "no reply to MAIL: a line that is no reply" in client.command("RCPT TO:<b@remote.example>").text
        gateway.wait_for_log(r'policy_reason=lost .*detail="no reply to MAIL: a line that is no reply')


@pytest.mark.parametrize(
    "step, reply",
    [("GREETING", "what?\r\n"), ("GREETING", "354 go\r\n"), ("GREETING", "250 x\r\n250 y\r\n"),
     ("EHLO", "what?\r\n"), ("EHLO", "354 go\r\n"), ("EHLO", "221 bye\r\n"), ("EHLO", "x" * 5000)],
)  # fmt: skip
def test_what_was_reached_is_not_called_unreachable(start_relaying, step, reply):
    with serving(Obedient(keywords=BARE, replies={step: reply})) as server:
        gateway = start_relaying(server)
        with Client(gateway.port("relay")) as client:
            answer = client.reply()
            if step == "EHLO":
                answer = client.command("EHLO legacy.example")
        assert str(answer).startswith("451 4.4.2 "), answer
        assert ("greeting" if step == "GREETING" else "reply to EHLO") in answer.text
        gateway.wait_for_log("session ended ")
        assert not re.search("unreachable|cannot be reached", gateway.log())
        assert len(server.connections) == 1


def test_a_reply_in_pieces_of_which_each_is_one(start_relaying):
    """EHLO is answered with what looks like three replies; each could be taken for the reply to a later command."""

    def in_pieces(connection, name):
        if name == "EHLO!":
            time.sleep(0.1)
            connection.send("250 8BITMIME\r\n250 SIZE 1000\r\n")

    with serving(Obedient(replies={"EHLO": "250 mx\r\n"}, at_step=in_pieces)) as server:
        gateway = start_relaying(server)
        with Client(gateway.port("relay")) as client:
            client.send(b"EHLO legacy.example\r\nMAIL FROM:<a@legacy.example>\r\nRCPT TO:<b@remote.example>\r\nDATA\r\n")
            while (reply := client.reply()).code in (220, 250):
                pass
            assert reply.code in (421, 451, 503), reply
        gateway.wait_for_log("session ended ")
        assert len(server.connections) <= 3
        assert server.messages() == []


def test_a_verdict_that_nobody_can_read_is_no_success(start_relaying):
    with serving(Obedient(keywords=PIPELINING, replies={".": "25O stored\r\n"})) as server:
        gateway = start_relaying(server)
        with begin(gateway) as client:
            client.expect(250, "RCPT TO:<b@remote.example>")
            client.expect(354, "DATA")
            client.send(b"Subject: x\r\n\r\ny\r\n.\r\n")
            reply = client.reply()
            assert str(reply).startswith("451 4.4.2 ") and "a line that is no reply" in reply.text
            client.expect(221, "QUIT")
        gateway.wait_for_log(r'session ended .*reason="no reply to the message: a line that is no reply')
        assert server.messages() == []


# --- patience


def test_the_greeting_and_each_reply_have_a_time_of_their_own(start_relaying):
    def slowly(connection, name):
        if name in ("EHLO?", "MAIL?"):
            time.sleep(2.5)

    with serving(Obedient(keywords=BARE, at_step=slowly)) as server:
        gateway = start_relaying(server, timeouts={"greeting": "2s"})
        with begin(gateway) as client:
            client.expect(250, "RCPT TO:<b@remote.example>")
            client.expect(354, "DATA")
            client.send(b"Subject: x\r\n\r\ny\r\n.\r\n")
            client.expect(250)
            client.quit()
        assert len(server.messages()) == 1


def test_each_line_of_a_reply_starts_the_clock_anew(start_relaying):
    def line_by_line(connection, name):
        if name == "EHLO?":
            for _ in range(4):
                connection.send("250-scripted.example\r\n")
                time.sleep(1)

    with serving(Obedient(keywords=BARE, at_step=line_by_line)) as server:
        gateway = start_relaying(server, timeouts={"reply": "3s"})
        with begin(gateway) as client:
            client.expect(250, "RCPT TO:<b@remote.example>")
            client.quit()


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL"])
def test_one_that_is_silent_was_reached(start_relaying, step):
    def silent(connection, name):
        if name == f"{step}?":
            connection.more()

    with serving(Obedient(keywords=BARE, at_step=silent)) as server:
        gateway = start_relaying(server, timeouts={"greeting": "2s", "reply": "2s"})
        with Client(gateway.port("relay")) as client:
            replies = [client.reply()]
            for line in ("EHLO legacy.example", "MAIL FROM:<a@legacy.example>", "RCPT TO:<b@remote.example>"):
                if replies[-1].code not in (220, 250):
                    break
                replies.append(client.command(line))
            assert str(replies[-1]).startswith("451 4.4.2 ") and "silent for too long" in replies[-1].text
        assert len(server.connections) == 1


# --- clients that do not wait, and processes that stop


def silent_at(step):
    def wait(connection, name):
        if name == f"{step}?":
            while True:
                connection.more()

    return wait


@pytest.mark.parametrize("held", [b"", b"QUIT\r\n", b"DATA\r\n" + 100_000 * b"x"], ids=["nothing", "QUIT", "much"])
@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT"])
def test_a_client_that_is_gone_is_noticed(start_relaying, step, held):
    with serving(Obedient(keywords=BARE, at_step=silent_at(step))) as server:
        gateway = start_relaying(server)
        client = Client(gateway.port("relay"))
        client.expect(220)
        client.send(b"EHLO legacy.example\r\nMAIL FROM:<a@legacy.example>\r\nRCPT TO:<b@remote.example>\r\n" + held)
        wait_until(lambda: server.connections and step.encode() in server.received(), "it has come so far")
        client.reset()
        gateway.wait_for_log("session ended .*ended=client_lost|session ended .*ended=client_closed")
        assert server.connections[0].finished.wait(PATIENCE)


@pytest.mark.parametrize("held", [b"QUIT\r\n", b"DATA\r\n" + 100_000 * b"x"], ids=["QUIT", "much"])
def test_so_is_one_that_came_in(start_gateway, held):
    with serving(Obedient(keywords=BARE, at_step=silent_at("MAIL"))) as server:
        gateway = start_gateway({"address": server.address})
        client = Client(gateway.port())
        client.expect(220)
        client.send(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n" + held)
        wait_until(lambda: b"MAIL" in server.received(), "it has come so far")
        client.reset()
        gateway.wait_for_log("session ended .*ended=client_")
        assert server.connections[0].finished.wait(PATIENCE)


@pytest.mark.parametrize("held", [b"", b"NOOP\r\nQUIT\r\n"], ids=["nothing", "QUIT"])
def test_one_that_will_say_no_more_is_given_some_seconds(start_relaying, held):
    with serving(Obedient(keywords=PIPELINING, at_step=silent_at("RCPT"))) as server:
        gateway = start_relaying(server)
        with begin(gateway) as client:
            client.send(b"RCPT TO:<b@remote.example>\r\n" + held)
            wait_until(lambda: b"RCPT" in server.received(), "it has come so far")
        gateway.wait_for_log("session ended .*ended=client_lost")


def test_one_that_only_listens_gets_its_replies(start_relaying):
    def slowly(connection, name):
        if name in ("EHLO?", "MAIL?", "RCPT?"):
            time.sleep(1.5)

    with serving(Obedient(keywords=BARE, at_step=slowly)) as server:
        gateway = start_relaying(server)
        with Client(gateway.port("relay")) as client:
            client.expect(220)
            client.send(b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nNOOP\r\n")
            client.socket.shutdown(socket.SHUT_WR)
            assert [client.reply().code for _ in range(4)] == [250] * 4


def test_what_it_has_sent_before_is_not_taken_back(start_relaying):
    def later(connection, name):
        if name == ".?":
            time.sleep(2.5)

    with serving(Obedient(keywords=PIPELINING, at_step=later)) as server:
        gateway = start_relaying(server)
        client = begin(gateway)
        client.expect(250, "RCPT TO:<b@remote.example>")
        client.expect(354, "DATA")
        client.send(b"Subject: x\r\n\r\ny\r\n.\r\nMAIL FROM:<a@legacy.example>\r\n")
        wait_until(lambda: b"y\r\n.\r\n" in server.received(), "the message is there")
        client.reset()
        assert re.search(r"\bmessages=1\b", gateway.wait_for_log("session ended .*").group())
        assert len(server.messages()) == 1


@pytest.mark.parametrize("step", ["GREETING", "EHLO"])
def test_a_process_that_stops_waits_for_no_opening(start_relaying, step):
    with serving(Obedient(keywords=BARE, at_step=silent_at(step))) as server:
        gateway = start_relaying(server)
        with Client(gateway.port("relay")) as client:
            if step == "EHLO":
                client.expect(220)
                client.send(b"EHLO legacy.example\r\n")
            wait_until(lambda: server.connections and (step == "GREETING" or server.received()), "it has come so far")
            with concurrent.futures.ThreadPoolExecutor() as pool:
                stopping = pool.submit(gateway.stop)
                assert client.reply().code == 421
                client.close()
                stopping.result(timeout=PATIENCE)
