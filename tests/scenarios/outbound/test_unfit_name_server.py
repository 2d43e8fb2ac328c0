"""Name servers that do not hand on what DNSSEC needs: not a reason for all mail to stop, nor one to trust them."""

import json
import re
import subprocess

import domains
import pytest
import senders
import world as places
from firewall import PORT, firewall

from harness.name_servers import Forwarder
from harness.ports import wait_until

SIGNED, UNSIGNED = domains.named("ee-spki-256"), domains.named("unsigned")
WORKERS = 3


@pytest.fixture
def forwarder(world):
    with world.internet.entered():
        made = Forwarder(places.FORWARDER, places.PLAIN_RESOLVER)
    with made:
        yield made


@pytest.fixture
def asking(world, start_gateway):
    """asking(server, **settings of the listener): a gateway that asks that name server."""

    def start(server=places.FORWARDER, **listener):
        dns = {"servers": [server], "trust_anchor": world.dns.trust_anchor}
        return start_gateway(**{"route": "mx", **listener}, top={"dns": dns, "workers": WORKERS})

    return start


def outcome(world, domain, endpoint=senders.at_the_gateway(PORT)):
    return senders.outcomes(world, [domain], endpoint)[domain.name]


def said(gateway, words="DNSSEC cannot be used"):
    return [line for line in gateway.log().splitlines() if words in line]


def check_it_was_said_once(gateway):
    gateway.wait_for_log("DNSSEC cannot be used")  # the client may have its answer first
    (line,) = said(gateway)
    assert " warning " in line and f"{places.FORWARDER}:53" in line
    taken_from = re.search(r'taken_from="dns\.servers at (\S+):(\d+)"', line)
    assert taken_from and taken_from[1] == gateway.configuration
    with open(gateway.configuration, encoding="utf-8") as file:
        assert places.FORWARDER in "".join(file.readlines()[int(taken_from[2]) - 1 :][:3])


@pytest.mark.parametrize("does", ["strips", "hides keys"])
@pytest.mark.parametrize("enforcement", ["observe", "enforce"])
def test_mail_goes_on_and_it_is_said_once(world, forwarder, asking, does, enforcement):
    forwarder.does = does
    gateway = asking(enforcement=enforcement)
    for domain in (UNSIGNED, SIGNED, domains.named("trusted")):
        assert outcome(world, domain) == "tls"
    assert outcome(world, domains.named("no-starttls")) == "plain"
    assert outcome(world, domains.named("sts-self-signed")) == ("tls" if enforcement == "observe" else "4.7.5")
    assert outcome(world, domains.named("no-such-domain")) == "5.1.2"
    check_it_was_said_once(gateway)


@pytest.mark.parametrize("level", ["dane", "dane-only"])
def test_where_dane_is_demanded_mail_waits(world, forwarder, asking, level):
    gateway = asking(policies=[{"match": [SIGNED.full, UNSIGNED.full], "level": level}])
    for domain in (UNSIGNED, SIGNED):
        assert outcome(world, domain) == "4.4.3"
    assert outcome(world, domains.named("trusted")) == "tls"
    gateway.wait_for_log(rf"policy decision .*domain={SIGNED.full} .*DANE is demanded and cannot be known")
    check_it_was_said_once(gateway)


def test_a_reload_with_others_ends_it_and_nobody_notices(world, forwarder, asking):
    forwarder.does = "strips"
    gateway = asking(level="dane-only")
    assert outcome(world, SIGNED) == "4.4.3"
    gateway.reload(dns={**gateway.settings["dns"], "servers": [places.RESOLVER]})
    wait_until(lambda: outcome(world, SIGNED) == "tls", "the others are asked")
    assert "the resolver was lost" not in gateway.log()


def test_where_it_is_only_observed_mail_goes_and_the_log_knows(world, forwarder, asking):
    gateway = asking(level="dane-only", enforcement="observe")
    assert outcome(world, SIGNED) == "tls"
    gateway.wait_for_log(rf"policy decision .*domain={SIGNED.full} .*policy_result=observed")


def test_one_that_was_fit_and_is_no_longer_may_be_an_attacker(world, forwarder, asking):
    forwarder.does = "honest"
    gateway = asking()
    assert outcome(world, SIGNED) == "tls"
    assert not said(gateway)
    forwarder.does = "strips"
    for name in ("ee-cert-256", "unsigned-mx", "rsa"):
        assert outcome(world, domains.named(name)) == "4.4.3"
    gateway.wait_for_log("DNSSEC cannot be used any more")
    check_it_was_said_once(gateway)


def test_what_dns_says_of_one_domain_stops_nobody_who_observes(world, start_gateway, asking):
    """Neither by MX, if others would have had an answer, nor to where a client was going anyway."""
    gateway = asking(places.PLAIN_RESOLVER, enforcement="observe")
    for name in ("mx-bogus", "signature-expired", "address-bogus", "tlsa-bogus"):
        assert outcome(world, domains.named(name)) == "tls"
        gateway.wait_for_log(rf"policy decision .*domain={name}\.\S+ .*policy_result=observed policy_reason=dns_bogus")
    gateway.stop()
    asking(places.PLAIN_RESOLVER)
    assert outcome(world, domains.named("mx-bogus")) == "4.4.3"


def test_a_failure_names_the_server_and_where_it_was_taken_from(world, forwarder, asking):
    forwarder.does = "refuses"
    gateway = asking()
    with senders.session(world, places.ROUTER_INSIDE["4"], PORT) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        reply = client.command(f"RCPT TO:<user@{UNSIGNED.full}>")
    assert senders.refused(reply) == "4.4.3"
    assert f"asked: {places.FORWARDER}:53 (dns.servers at {gateway.configuration}:" in reply.text
    assert not re.search(r"response code|SERVFAIL", reply.text)
    check_it_was_said_once(gateway)


def test_observing_where_dns_is_dead_an_intercepted_session_goes_where_it_was_going(world, forwarder, asking):
    forwarder.does = "refuses"
    asking(route="original_destination", enforcement="observe")
    with firewall(world.gateway, "nft-redirect-router"):
        assert outcome(world, SIGNED, senders.at_its_host(world)) == "tls"


def test_probe_shows_it(world, forwarder, make_gateway):
    dns = {"servers": [places.FORWARDER], "trust_anchor": world.dns.trust_anchor}

    def probe(target, level):
        gateway = make_gateway(route="mx", level=level, top={"dns": dns})
        argv = [gateway.binary, "probe", target, "--config", gateway.configuration]
        text, report = (
            subprocess.run(world.gateway.command(*words), capture_output=True, text=True, check=False)
            for words in (argv, [*argv, "--json"])
        )
        return text, json.loads(report.stdout)

    text, report = probe(SIGNED.full, "may")
    assert text.returncode == 0 and "NOT fit for DNSSEC" in text.stdout
    assert report["name_servers"]["addresses"] == f"{places.FORWARDER}:53"
    assert report["name_servers"]["dnssec"] == "unfit"
    assert "signed (DNSSEC)" not in text.stdout and "not signed" not in text.stdout
    text, report = probe(SIGNED.full, "dane")
    assert text.returncode == 1 and report["reply"].startswith("451 4.4.3")
    assert not re.search(r"\bsatisfied:", text.stdout.replace("not satisfied:", ""))
    text, report = probe(places.SCRIPTED["4"], "may")
    assert "name_servers" not in report and "mx_secure" not in report["hosts"][0]
    assert "signed" not in text.stdout
    assert text.returncode == 1 and "not satisfied" in text.stdout
    assert not re.search(r"\bsatisfied:", text.stdout.replace("not satisfied:", ""))
