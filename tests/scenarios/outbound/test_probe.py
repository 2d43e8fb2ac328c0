"""`postern probe` says what a session would do, and agrees with Postfix's posttls-finger."""

import concurrent.futures
import itertools
import json
import subprocess

import domains
import pytest
import test_world
import world as places
from firewall import PORT


@pytest.fixture
def probe(world, make_gateway):
    """probe(domain, listener): its JSON. A listener is a level; "LEVEL-alone" leaves out what the domain publishes."""
    ports = itertools.count(PORT)
    listeners = {}
    for level in domains.LEVELS:
        for name, published in ((level, True), (f"{level}-alone", False)):
            policy = {"level": level, "dane": published, "mta_sts": published}
            listeners[name] = {"route": "mx", "listen": [f"127.0.0.1:{next(ports)}"], **policy}
    gateway = make_gateway(listeners)

    def ask(domain, listener):
        options = ["--json", "--listener", listener, "--config", gateway.configuration]
        argv = [gateway.binary, "probe", domain.full, *options]
        done = subprocess.run(world.gateway.command(*argv), capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert done.returncode == (0 if report["verdict"]["satisfied"] else 1), done.stderr
        return report

    return ask


def outcome(report):
    if report["reply"]:
        return report["reply"].split()[1]
    return "plain" if report["verdict"]["level_reached"] == "none" else "tls"


def outcomes(probe, questions):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda question: outcome(probe(*question)), questions)
        return {(domain.name, listener): what for (domain, listener), what in zip(questions, found)}


def test_it_says_what_a_session_does(probe):
    """For sessions see test_policies.py: the same table."""
    questions = [(domain, level) for domain in domains.TABLE for level in domains.LEVELS]
    wanted = {(domain.name, level): domain.expected(level) for domain, level in questions}
    assert outcomes(probe, questions) == wanted


def test_it_agrees_with_posttls_finger(world, probe):
    """On every question that posttls-finger can answer."""
    assert len({domain.name for domain, _ in test_world.QUESTIONS}) >= 25
    listeners = {level: level if level in ("may", "dane-only") else f"{level}-alone" for level in domains.LEVELS}
    questions = [(domain, listeners[level]) for domain, level in test_world.QUESTIONS]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        postfix = pool.map(lambda question: world.finger.outcome(question[0].full, question[1]), test_world.QUESTIONS)
        wanted = {(domain.name, listener): what for (domain, listener), what in zip(questions, postfix)}
    assert outcomes(probe, questions) == wanted


def test_it_says_why(probe):
    report = probe(domains.named("ee-spki-256"), "may")
    host = report["hosts"][0]
    assert (host["name"], host["mx_secure"], host["dane"]) == ("mx.ee-spki-256.example", True, "records")
    assert host["addresses"][0]["tls"]["dane"] == "matched"
    assert report["host"] == host["name"] and report["verdict"]["level_reached"] == "dane"

    report = probe(domains.named("sts-not-listed"), "may")
    assert report["mta_sts"] == {"mode": "enforce", "mx": ["other.sts-not-listed.example"]}
    assert report["reply"].startswith("451 4.7.5 mx.sts-not-listed.example: MTA-STS: ")

    report = probe(domains.named("mx-bogus"), "may")
    assert (report["verdict"]["reason"], report["reply"][:9]) == ("dns_bogus", "451 4.4.3")


@pytest.fixture
def probe_with(world, make_gateway):
    """probe_with(target, **settings of the listener): its JSON."""

    def ask(target, **listener):
        gateway = make_gateway(**listener)
        argv = [gateway.binary, "probe", target, "--json", "--config", gateway.configuration]
        done = subprocess.run(world.gateway.command(*argv), capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.mark.parametrize("mode, port", [("starttls", 587), ("implicit", 465)])
def test_by_relay_it_is_the_relay_that_counts(world, probe_with, mode, port):
    """Not the recipient's mail hosts, whatever they publish; but its row of policies does."""
    relay = {"address": f"mx.scripted.example:{port}", "mode": mode}
    policies = [{"match": ["bank.example"], "level": "verify"}, {"match": ["gov.example"], "level": "dane-only"}]
    with world.serve(port=port, implicit=mode == "implicit") as server:
        for domain, code in (("dane-mismatch.example", ""), ("bank.example", ""), ("gov.example", "451 4.7.5")):
            report = probe_with(domain, route="relay", relay=relay, policies=policies)
            assert report["reply"][:9] == code, report
            assert [host["name"] for host in report["hosts"]] == ["mx.scripted.example"]
        assert server.connections and all(each.asked_for == "mx.scripted.example" for each in server.connections)
    report = probe_with("bank.example", route="relay", relay=relay)
    assert report["reply"].startswith("451 4.4.1 ")
    report = probe_with("bank.example", route="relay", relay={"address": "nobody.example:587"})
    assert report["reply"].startswith("451 4.4.1 nobody.example: ")


def test_by_relay_it_asks_whether_credentials_would_be_given(world, probe_with, folder):
    with open(f"{folder}/secret", "w", encoding="ascii") as file:
        file.write("opensesame\n")
    auth = {"mechanism": "plain", "username": "device@example.org", "password_file": f"{folder}/secret"}
    address = f"{places.SCRIPTED['4']}:25"

    def reply(relay, **options):
        with world.serve(**options) as server:
            found = probe_with("other.example", route="relay", relay=relay)["reply"]
        assert b"AUTH" not in server.received()
        return found[:9]

    by_name, by_address = {"address": "mx.scripted.example:25", "auth": auth}, {"address": address, "auth": auth}
    assert reply(by_name) == ""
    assert reply(by_name, offer="XXXXXXXA") == "451 4.7.4"
    assert reply(by_address) == "451 4.7.5"
    assert reply({**by_address, "auth": {**auth, "allow_unauthenticated": True}}) == ""


def test_by_mx_it_sees_a_loop(probe_with):
    report = probe_with("trusted.example", route="mx", listen=["0.0.0.0:25"])
    assert report["reply"] == ""
    report = probe_with("loops.unsigned.example", route="mx", listen=["0.0.0.0:25"])
    assert report["reply"].startswith("451 4.4.6 ")
