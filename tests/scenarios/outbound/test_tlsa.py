"""`postern tlsa` prints the records for certificates of one's own, and `--verify` compares them with the signed zones."""

import re
import subprocess

import domains
import pytest
import world as places

from harness.certificates import tlsa_data
from harness.gateway import Gateway


@pytest.fixture
def tlsa(world, postern, folder):
    """tlsa(pairs, *options, servers): exit status, lines of the output, and the errors, for a gateway with these."""

    def ask(pairs, *options, servers=(places.RESOLVER,)):
        listener = {"listen": ["0.0.0.0:25"], "certificates": ["own"], "allow_open_relay_risk": True}
        gateway = Gateway(
            postern, folder, namespace=world.gateway,
            inbound={"mx": {**listener, "backend": {"address": "127.0.0.1:2525"}}},
            certificates={"own": [pair.as_setting() for pair in pairs]},
            dns={"servers": list(servers), "trust_anchor": world.dns.trust_anchor},
        )  # fmt: skip
        argv = [postern, "tlsa", "--config", gateway.configuration, *options]
        done = subprocess.run(world.gateway.command(*argv), capture_output=True, text=True, timeout=90, check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr

    return ask


def to_publish(world, pair):
    """As the openssl command has it."""
    records = [tlsa_data(pair.chain, 3, 1, 1)]
    for authority in (world.authority, world.strangers):
        if pair.chain.startswith(f"{authority.folder}/"):
            records.append(tlsa_data(authority.certificate, 2, 1, 1))
    return records


def owner(name):
    return f"_25._tcp.mx.{domains.named(name).full}"


@pytest.mark.parametrize("name", ["trusted", "rsa", "untrusted-ca", "self-signed"])
def test_the_records_are_those_that_openssl_computes(world, tlsa, name):
    pair = world.pairs[name]
    status, lines, _ = tlsa([pair])
    assert (status, lines[0]) == (0, f"; own ({pair.chain}): CN=mx.{name}.example")
    assert lines[1:] == [f"{owner(name)}. IN TLSA {record}" for record in to_publish(world, pair)]


def test_of_two_certificates_each_has_its_own(world, tlsa):
    """An authority that both share is named once."""
    pairs = [world.pairs["trusted"], world.authority.issue("mx.trusted.example", "rsa")]
    status, lines, _ = tlsa(pairs)
    first, second = (to_publish(world, pair) for pair in pairs)
    assert first[1] == second[1]
    records = [line.partition(" IN TLSA ")[2] for line in lines if not line.startswith(";")]
    assert (status, records) == (0, [*first, second[0]])


def test_a_wildcard_needs_the_name_of_the_host(world, tlsa):
    pair = world.pairs["wildcard"]
    status, lines, _ = tlsa([pair])
    assert status == 0 and all(line.startswith("; ") for line in lines)
    status, lines, _ = tlsa([pair], "--verify")
    assert (status, lines) == (1, ["_25._tcp.*.wildcard.example: a wildcard: name the mail host with --host"])
    status, lines, _ = tlsa([pair], "--host", "mx.wildcard.example", "--port", "2525")
    records = [f"_2525._tcp.mx.wildcard.example. IN TLSA {record}" for record in to_publish(world, pair)]
    assert (status, lines[1:]) == (0, records)
    status, lines, errors = tlsa([pair], "--host", "mx.elsewhere.example")
    assert (status, lines) == (1, []) and "no configured certificate names mx.elsewhere.example" in errors


NOTHING_PUBLISHED = "nothing is published"
STALE, MATCHES = "stale: matches no configured certificate", r"matches own \(.*\)"
NO_USE = r"cannot be used: certificate usage is not DANE-TA\(2\) or DANE-EE\(3\)"

# By domain: exit status, what is said of its host, of each record that is published, and whether records to publish are
# named.
VERIFIED = {
    "ee-trusted": (0, "ok", [MATCHES], False),
    "ee-cert-256": (0, "ok", [MATCHES], False),
    "ee-rollover": (0, "ok", [MATCHES, STALE], False),
    "ta-spki-256": (0, "ok", [MATCHES], False),
    "ta-cert-256": (0, "ok", [MATCHES], False),
    "dane-mismatch": (1, "senders will not deliver, or not always", [STALE], True),
    "ta-expired": (1, "senders will not deliver, or not always", [r"is of no help: .*expired"], True),
    "unusable": (1, "no record can be used: senders demand TLS, and any certificate will do", [NO_USE, NO_USE], True),
    "trusted": (1, NOTHING_PUBLISHED, [], True),
    "self-signed": (1, NOTHING_PUBLISHED, [], True),
    "unsigned": (1, r"not signed \(DNSSEC\), DANE will not be used", [STALE], True),
    "sts-unsigned": (1, rf"{NOTHING_PUBLISHED}, and the zone is not signed \(DNSSEC\)", [], True),
    "tlsa-bogus": (1, "bogus, senders will not deliver: .+", [], False),
    "signature-expired": (1, "bogus, senders will not deliver: .*signature expired.*", [], False),
}


@pytest.mark.parametrize("name", VERIFIED)
def test_what_is_published_is_compared(world, tlsa, name):
    pair = world.pairs[name]
    status, said, of_records, missing = VERIFIED[name]
    found, lines, _ = tlsa([pair], "--verify")
    assert found == status
    assert re.fullmatch(rf"{re.escape(owner(name))}: {said}", lines[0])
    records = [line for line in lines[1:] if re.match(r"  [0-9]", line)]
    verdicts = sorted(line.split(": ", 1)[1] for line in records)
    assert len(verdicts) == len(of_records)
    for verdict, wanted in zip(verdicts, sorted(of_records)):
        assert re.fullmatch(wanted, verdict)
    assert any(re.fullmatch(r"  missing for own \(.*\): publish one of", line) for line in lines) == missing
    published = {line.strip().split(": ")[0] for line in records}
    wanted = [record for record in to_publish(world, pair) if record not in published] if missing else []
    assert [line.strip() for line in lines if line.startswith("    ")] == wanted


def test_a_host_without_a_record_spoils_the_result(world, tlsa):
    """One certificate, two names."""
    pair = world.authority.issue("shared.example", names=["mx.ta-wrong-name.example", "mx.trusted.example"])
    status, lines, _ = tlsa([pair], "--verify")
    hosts = dict(line.split(": ", 1) for line in lines if line.startswith("_25."))
    assert (status, hosts) == (1, {owner("ta-wrong-name"): "ok", owner("trusted"): NOTHING_PUBLISHED})


def test_a_name_server_that_is_dead_says_nothing(world, tlsa):
    status, lines, _ = tlsa([world.pairs["ee-six"]], "--verify", servers=[domains.DEAD])
    assert (status, lines) == (1, [f"{owner('ee-six')}: the lookup failed: no answer in time"])


def test_nor_does_one_that_has_lost_its_own(world, tlsa):
    world.nsd.stop()
    try:
        status, lines, _ = tlsa([world.pairs["ee-six"]], "--verify")
    finally:
        world.nsd.start()
    assert status == 1 and len(lines) == 1
    assert re.fullmatch(rf"{re.escape(owner('ee-six'))}: the lookup failed: .+", lines[0])


def test_records_are_compared_though_the_server_does_not_validate(world, tlsa):
    status, lines, _ = tlsa([world.pairs["ee-trusted"]], "--verify", servers=[places.PLAIN_RESOLVER])
    assert (status, lines[0]) == (0, f"{owner('ee-trusted')}: ok")
    status, lines, _ = tlsa([world.pairs["tlsa-bogus"]], "--verify", servers=[places.PLAIN_RESOLVER])
    assert status == 1 and lines[0].startswith(f"{owner('tlsa-bogus')}: bogus, ")
