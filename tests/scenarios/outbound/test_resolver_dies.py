"""The resolver process dies, or hangs: nothing leaves that must not, nothing bounces, and another one is there at once."""

import concurrent.futures
import os
import signal
import time

import domains
import pytest
import senders
import world as places
from firewall import PORT

from harness.ports import PATIENCE, wait_until

SHARES = 5  # of the table of domains: one is on its way while a resolver is killed
KILLS = 20 if os.environ.get("POSTERN_SCENARIOS") == "full" else SHARES
SETTLED = 3.5  # seconds: one that has lived that long is followed at once


def resolver_of(gateway):
    """The process id of the gateway's resolver; None where there is none."""
    with open(f"/proc/{gateway.pid}/task/{gateway.pid}/children", encoding="ascii") as children:
        found = [int(pid) for pid in children.read().split()]
    for pid in found:
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as name:
                if name.read().startswith("postern-resolve"):
                    return pid
        except (FileNotFoundError, ProcessLookupError):
            pass
    return None


def another_than(gateway, pid):
    return wait_until(lambda: resolver_of(gateway) not in (None, pid) and resolver_of(gateway), "there is another resolver")


def kill(gateway):
    """Returns how long it took until there was another one."""
    pid, began = resolver_of(gateway), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    another_than(gateway, pid)
    return time.monotonic() - began


def settle():
    until = time.monotonic() + SETTLED
    wait_until(lambda: time.monotonic() > until, "it has served for a while")


def ask(client, domain):
    """Up to the recipient, whose reply is not waited for."""
    client.greeted()
    client.expect(250, "MAIL FROM:<sender@legacy.example>")
    client.send(f"RCPT TO:<user@{domain.full}>\r\n".encode())


@pytest.fixture
def gateway(world, start_gateway):
    """One that knows what its name servers are fit for."""
    started = start_gateway(route="mx")
    assert senders.outcomes(world, [domains.named("trusted")], senders.at_the_gateway(PORT)) == {"trusted": "tls"}
    return started


def test_mail_goes_its_ways_while_it_is_killed(world, gateway):
    """What a domain demands holds for each message, whatever dies in the middle of it."""

    def outcome(domain):
        with senders.session(world, places.ROUTER_INSIDE["4"], PORT) as client:
            return senders.send(world, client, domain.full)

    pauses = []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for number in range(KILLS):
            rows = domains.TABLE[number % SHARES :: SHARES]
            settle()
            found = [pool.submit(outcome, domain) for domain in rows]
            wait_until(lambda: found[0].done(), "the first message has gone")
            pauses.append(kill(gateway))
            for domain, done in zip(rows, found):
                assert done.result() in (domain.expected("may"), "4.4.3"), domain.name
    assert min(pauses) < 1, pauses  # on a busy machine a process takes its time; one that waits takes a second each time
    assert gateway.log().count("the resolver was lost") == KILLS
    wait_until(lambda: gateway.log().count("there is a resolver again") == KILLS, "the last one has begun")
    rows = domains.TABLE
    assert senders.outcomes(world, rows, senders.at_the_gateway(PORT)) == {row.name: row.expected("may") for row in rows}
    gateway.daemon.process.send_signal(signal.SIGTERM)
    gateway.daemon.process.wait(PATIENCE)
    assert f"resolver_losses={KILLS}" in gateway.log()
    gateway.daemon = None


def test_a_question_under_way_is_asked_again_once(world, gateway):
    domain = domains.named("ee-spki-512")
    with senders.session(world, places.ROUTER_INSIDE["4"], PORT) as client:
        with world.name_servers[places.RESOLVER].paused():
            ask(client, domain)
            kill(gateway)
        client.expect(250)
        client.expect(250, "RSET")
        client.quit()


def test_what_has_ended_two_of_them_waits(world, gateway):
    domain = domains.named("dane-no-starttls")
    with senders.session(world, places.ROUTER_INSIDE["4"], PORT) as client:
        with world.name_servers[places.RESOLVER].paused():
            ask(client, domain)
            kill(gateway)
            kill(gateway)
            assert senders.refused(client.reply()) == "4.4.3"
        client.quit()


def test_one_that_hangs_is_replaced_and_its_questions_wait(world, gateway):
    domain, pid = domains.named("dane-no-starttls"), resolver_of(gateway)
    with senders.session(world, places.ROUTER_INSIDE["4"], PORT) as client:
        os.kill(pid, signal.SIGSTOP)
        ask(client, domain)
        # 4.7.4 where another question has found it out, and this one was asked again: by no means it is plaintext.
        assert senders.refused(client.reply()) in ("4.4.3", "4.7.4")
        client.quit()
    another_than(gateway, pid)
    gateway.wait_for_log("the resolver was lost .*it does not answer")
    assert senders.outcomes(world, [domain], senders.at_the_gateway(PORT)) == {domain.name: domain.expected("may")}


def test_it_ends_with_the_gateway_and_is_its_user(world, start_gateway):
    gateway = start_gateway(route="mx", top={"user": "nobody", "dns": {
        "servers": [places.RESOLVER], "trust_anchor": world.dns.trust_anchor}})  # fmt: skip
    pid = resolver_of(gateway)
    for process in (pid, gateway.serving):
        with open(f"/proc/{process}/status", encoding="ascii") as status:
            fields = dict(line.split(":\t") for line in status.read().splitlines())
        assert fields["Uid"].split() == ["65534"] * 4 and fields["NoNewPrivs"] == "1"
        assert int(fields["CapEff"], 16) == 0
    os.kill(pid, signal.SIGKILL)
    pid = another_than(gateway, pid)  # started by whom the gateway has become
    assert senders.outcomes(world, [domains.named("trusted")], senders.at_the_gateway(PORT)) == {"trusted": "tls"}
    os.kill(pid, signal.SIGTERM)  # as a service manager tells all at once
    assert resolver_of(gateway) == pid
    gateway.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the resolver has ended")
    gateway.start()


def test_other_name_servers_are_noticed(world, start_gateway):
    path = f"/etc/netns/{world.gateway.name}/resolv.conf"
    with open(path, encoding="ascii") as file:
        before = file.read()
    top = {"dns": {"trust_anchor": world.dns.trust_anchor}}
    try:
        world.gateway.use_resolver("192.0.2.99")  # where nobody is
        gateway = start_gateway(route="mx", top=top)
        # In place: another file would not be seen through the mount of this one.
        with open(path, "w", encoding="ascii") as file:
            file.write(before)
        domain = domains.named("ee-spki-256")
        found = wait_until(lambda: senders.outcomes(world, [domain], senders.at_the_gateway(PORT)) == {domain.name: "tls"},
                           "mail goes by the new name server")  # fmt: skip
        assert found
        gateway.wait_for_log(f"the name servers have changed .*{places.RESOLVER}:53")
    finally:
        with open(path, "w", encoding="ascii") as file:
            file.write(before)
