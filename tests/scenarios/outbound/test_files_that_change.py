"""Authorities and the trust anchor change while the gateway serves: what is new counts, or nothing has changed."""

import os
import re
import shutil
import time

import domains
import pytest
import senders
from firewall import PORT
from test_resolver_dies import resolver_of

from harness.ports import PATIENCE, wait_until

TRUSTED, WITH_DANE = domains.named("trusted"), domains.named("ee-spki-full")


def answered(world, domain):
    with senders.session(world, *senders.at_the_gateway(PORT)(domain)) as client:
        return senders.send(world, client, domain.full)


def put(path, *parts):
    """In place of what is there, in one step."""
    with open(f"{path}.new", "wb") as out:
        for part in parts:
            out.write(part)
    os.rename(f"{path}.new", path)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def times(gateway, words):
    return len(re.findall(words, gateway.log()))


@pytest.fixture
def authorities(world, folder):
    """For root alone, and of somebody who has issued nothing."""
    path = f"{folder}/safe/cas.pem"
    os.mkdir(os.path.dirname(path), 0o700)
    shutil.copy(world.strangers.certificate, path)
    return path


def test_other_authorities_count_without_a_restart(world, start_gateway, authorities):
    gateway = start_gateway(route="mx", level="verify", ca_file=authorities, top={"user": "nobody"})
    serving = gateway.serving
    assert answered(world, TRUSTED) == "4.7.5"
    put(authorities, content(world.authority.certificate))
    began = time.monotonic()
    gateway.wait_for_log(rf"a file was read again file={re.escape(authorities)} use=authorities")
    assert time.monotonic() - began < PATIENCE
    assert answered(world, TRUSTED) == "tls"

    put(authorities, b"nonsense")
    gateway.wait_for_log(rf"what has changed is not taken over files={re.escape(authorities)} reason=")
    assert answered(world, TRUSTED) == "tls"
    os.remove(authorities)
    gateway.wait_for_log(rf"a file cannot be read again file={re.escape(authorities)} use=authorities")
    assert answered(world, TRUSTED) == "tls"
    put(authorities, content(world.strangers.certificate))
    wait_until(lambda: times(gateway, "a file was read again") == 2, "it is read again")
    assert answered(world, TRUSTED) == "4.7.5"
    assert gateway.serving == serving and "was lost" not in gateway.log()


def test_a_session_goes_on_with_what_it_began_with(world, start_gateway, authorities):
    put(authorities, content(world.authority.certificate))
    gateway = start_gateway(route="mx", level="verify", ca_file=authorities)
    with senders.session(world, *senders.at_the_gateway(PORT)(TRUSTED)) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        put(authorities, content(world.strangers.certificate))
        gateway.wait_for_log("a file was read again")
        client.expect(250, f"RCPT TO:<user@{TRUSTED.full}>")
    assert answered(world, TRUSTED) == "4.7.5"


def test_an_anchor_that_comes_and_goes_with_a_reload_counts(
    world, make_gateway, start_gateway, host_without_default_anchor
):
    """Where there was none nothing can be proven; with the first one there is somebody who sees to it that it can."""
    dns = make_gateway(route="mx").settings["dns"]
    without = {name: value for name, value in dns.items() if name != "trust_anchor"}
    gateway = start_gateway(route="mx", level="dane-only", top={"dns": without}, host=host_without_default_anchor)
    gateway.wait_for_log("DANE cannot be used")
    assert answered(world, WITH_DANE).startswith("4.")
    for _ in range(2):
        resolver = resolver_of(gateway)
        gateway.reload(dns=dns)
        wait_until(lambda before=resolver: resolver_of(gateway) not in (None, before), "there is another resolver")
        wait_until(lambda: answered(world, WITH_DANE) == "tls", "what it proves counts")
        gateway.reload(dns=without)
        wait_until(lambda: answered(world, WITH_DANE) != "tls", "it does not any more")
    assert "was lost" not in gateway.log()


def test_another_anchor_is_given_to_another_resolver(world, make_gateway, start_gateway, folder):
    anchor = f"{folder}/root.key"
    shutil.copy(world.dns.trust_anchor, anchor)
    dns = {**make_gateway(route="mx").settings["dns"], "trust_anchor": anchor}
    gateway = start_gateway(route="mx", level="dane-only", top={"dns": dns, "user": "nobody"})
    assert answered(world, WITH_DANE) == "tls"
    resolver = resolver_of(gateway)

    put(anchor, content(world.dns.trust_anchor), b"; a remark\n")
    wait_until(lambda: times(gateway, "a file was read again") == 1, "it is read again")
    assert resolver_of(gateway) == resolver

    put(anchor, content(world.dns.trust_anchor), b". IN DS 12345 13 2 " + b"ab" * 32 + b"\n")
    wait_until(lambda: times(gateway, "a file was read again") == 2, "it is read again")
    wait_until(lambda: resolver_of(gateway) not in (None, resolver), "there is another resolver")
    assert answered(world, WITH_DANE) == "tls"

    resolver = resolver_of(gateway)
    put(anchor, b". IN DS nonsense\n")
    gateway.wait_for_log(r"what has changed is not taken over files=\S+root\.key reason=")
    assert resolver_of(gateway) == resolver
    assert answered(world, WITH_DANE) == "tls"
    assert "was lost" not in gateway.log()
