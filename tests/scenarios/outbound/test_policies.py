"""What becomes of mail to each domain of the table, at each level, and how the policies of several domains meet."""

import domains
import pytest
import senders
from firewall import PORT, firewall

from harness.certificates import fingerprint, tlsa_data
from harness.messages import message, new_token

# A legacy host cannot have gone to any address of that one.
INTERCEPTED = [domain for domain in domains.TABLE if domain.name != "all-dead"]


@pytest.fixture
def intercepting(world):
    with firewall(world.gateway, "nft-redirect-router"):
        yield


def expected(rows, level, intercepted=False):
    return {domain.name: domain.expected(level, intercepted) for domain in rows}


@pytest.mark.parametrize("level", domains.LEVELS)
def test_each_domain_by_interception(world, start_gateway, intercepting, level):
    start_gateway(level=level)
    found = senders.outcomes(world, INTERCEPTED, senders.at_its_host(world))
    assert found == expected(INTERCEPTED, level, intercepted=True)


@pytest.mark.parametrize("level", domains.LEVELS)
def test_each_domain_by_mx(world, start_gateway, level):
    start_gateway(route="mx", level=level)
    found = senders.outcomes(world, domains.TABLE, senders.at_the_gateway(PORT))
    assert found == expected(domains.TABLE, level)


# How mail leaves that is refused where policies are enforced; what is not named leaves as at the level `may`.
OBSERVED = {
    "ta-wrong-name": "tls", "ta-expired": "tls", "dane-mismatch": "tls", "dane-stale": "tls", "unsigned-mx-mismatch": "tls",
    "address-bogus": "tls", "dane-no-starttls": "plain", "unusable-no-starttls": "plain", "tlsa-bogus": "tls",
    "sts-self-signed": "tls", "sts-wrong-name": "tls", "sts-expired": "tls", "sts-not-listed": "tls",
    "xn--bcher-kva": "tls", "sts-by-six": "tls", "sts-by-both": "tls", "sts-six-dead": "tls",
    "sts-no-starttls": "plain", "sts-unsigned": "tls", "sts-and-dane-mismatch": "tls",
    "sts-until-close": "tls", "sts-early-hints": "tls", "sts-unusual": "tls", "sts_underscore_wrong": "tls",
    # Without DANE and MTA-STS nobody would have asked DNS about them.
    "mx-bogus": "tls", "signature-expired": "tls", "null-mx": "tls",
}  # fmt: skip


@pytest.mark.parametrize("level", ["may", "secure"])
def test_each_domain_when_policies_are_only_observed(world, start_gateway, intercepting, level):
    gateway = start_gateway(level=level, enforcement="observe")
    found = senders.outcomes(world, INTERCEPTED, senders.at_its_host(world))
    assert found == {**expected(INTERCEPTED, "may", intercepted=True), **OBSERVED}
    for domain in OBSERVED:
        gateway.wait_for_log(rf"policy decision .*domain={domain}\.\S+ .*policy_result=observed")


def test_rows_of_policies_are_taken_in_order(world, start_gateway, intercepting):
    start_gateway(
        level="none",
        policies=[
            {"match": ["named.example"], "level": "encrypt"},
            {"match": [".example"], "level": "secure"},
            {"match": ["*"], "level": "dane-only"},
        ],
    )
    rows = [domains.named(name) for name in ("named", "trusted", "no-starttls")]
    found = senders.outcomes(world, rows, senders.at_its_host(world))
    assert found == {"named": "tls", "trusted": "4.7.5", "no-starttls": "4.7.4"}


def test_a_fingerprint(world, start_gateway, intercepting):
    """Of the key or of the certificate; nothing else counts."""
    chains = {name: world.pairs[name].chain for name in ("self-signed", "expired-certificate", "trusted")}
    key = tlsa_data(chains["self-signed"], 3, 1, 1).split()[3]
    listed = [key, fingerprint(chains["expired-certificate"])]
    start_gateway(policies=[{"match": [".example"], "level": "fingerprint", "fingerprints": listed}])
    found = senders.outcomes(world, [domains.named(name) for name in chains], senders.at_its_host(world))
    assert found == {"self-signed": "tls", "expired-certificate": "tls", "trusted": "4.7.5"}


def test_tls_versions_by_domain(world, start_gateway, intercepting):
    start_gateway(
        level="encrypt",
        policies=[
            {"match": ["tls10.example", "tls11.example"], "min_version": "TLSv1.0"},
            {"match": ["tls12.example"], "min_version": "TLSv1.3"},
            {"match": ["tls13.example"], "max_version": "TLSv1.2"},
        ],
    )
    rows = [domains.named(name) for name in ("tls10", "tls11", "tls12", "tls13", "trusted")]
    found = senders.outcomes(world, rows, senders.at_its_host(world))
    assert found == {"tls10": "tls", "tls11": "tls", "tls12": "4.7.5", "tls13": "4.7.5", "trusted": "tls"}


def test_an_mta_sts_policy_outlives_the_gateway_and_its_host(world, start_gateway, intercepting, folder):
    """What was once learned stays in force for its max_age, where there is a folder to keep it."""
    domain = domains.named("sts-self-signed")

    def outcome(**top):
        gateway = start_gateway(top=top)
        found = senders.outcomes(world, [domain], senders.at_its_host(world))
        gateway.stop()
        return found[domain.name]

    assert outcome(state_directory=folder) == "4.7.5"
    asked = len(world.policy_host.requests_for(domain.full))
    with world.policy_host.away(domain.full):
        assert outcome(state_directory=folder) == "4.7.5"
        assert outcome() == "tls"
    assert len(world.policy_host.requests_for(domain.full)) > asked


@pytest.mark.parametrize("route", ["original_destination", "mx"])
def test_the_policy_of_a_host_whose_ipv6_leads_nowhere(world, start_gateway, intercepting, route):
    """Its other address is tried, before anybody says that there is no policy. (Which DNS answer comes first decides
    whether there is anything to wait for.)
    """
    start_gateway(route=route)
    endpoint = senders.at_its_host(world) if route == "original_destination" else senders.at_the_gateway(PORT)
    rows = domains.LEISURELY
    assert senders.outcomes(world, rows, endpoint) == expected(rows, "may")
    assert world.policy_host.requests_for(rows[0].full)


# Two recipients in one transaction, at one host: the level for the stricter one, what each comes to, and how the
# message leaves.
TOGETHER = {
    "both in plaintext": ("no-starttls", "no-starttls-too", "may", "250 250", "plain"),
    "one may, one must not": ("no-starttls", "no-starttls-too", "encrypt", "250 4.7.4", "plain"),
    "one must not, one may": ("no-starttls-too", "no-starttls", "encrypt", "4.7.4 250", "plain"),
    "both by TLS": ("self-signed", "self-signed-too", "encrypt", "250 250", "tls"),
    "one must be trusted": ("self-signed", "self-signed-too", "verify", "250 4.7.5", "tls"),
    "one must be trusted, first": ("self-signed-too", "self-signed", "verify", "4.7.5 250", "tls"),
    "one by DANE, one unsigned": ("ee-spki-256", "unsigned-mx", "may", "250 250", "tls"),
    "one by DANE, one by DANE only": ("ee-spki-256", "unsigned-mx", "dane-only", "250 4.7.5", "tls"),
    "one with a host elsewhere": ("trusted", "dane-mismatch", "may", "250 4.7.5", "tls"),
    "one that takes no mail": ("trusted", "null-mx", "may", "250 5.1.10", "tls"),
}


@pytest.mark.parametrize("case", TOGETHER)
@pytest.mark.parametrize("pipelined", [False, True])
def test_two_policies_in_one_transaction(world, start_gateway, intercepting, case, pipelined):
    first, second, level, results, how = TOGETHER[case]
    strict = "no-starttls-too self-signed-too unsigned-mx".split()
    start_gateway(policies=[{"match": [domains.named(name).full for name in strict], "level": level}])
    pair = [domains.named(first), domains.named(second)]
    token = new_token()
    with senders.session(world, world.addresses[first]["4"]) as client:
        client.greeted()
        envelope = ["MAIL FROM:<sender@legacy.example>", *(f"RCPT TO:<user@{domain.full}>" for domain in pair), "DATA"]
        if pipelined:
            client.send("".join(f"{line}\r\n" for line in envelope).encode())
            replies = [client.reply() for _ in envelope]
        else:
            replies = [client.command(line) for line in envelope]
        found = ["250" if reply.code == 250 else senders.refused(reply) for reply in replies[1:3]]
        assert " ".join(found) == results
        assert replies[3].code == 354
        client.send(message(token=token) + b".\r\n")
        client.expect(250)
        client.quit()
    for domain, result in zip(pair, found):
        if result == "250":
            assert bool(world.remote.wait_for(domain.full, token).tls) == (how == "tls")


def test_a_domain_in_utf8_has_the_policy_of_its_name_in_dns(world, start_gateway, intercepting):
    gateway = start_gateway(policies=[{"match": ["xn--bcher-kva.example"], "level": "encrypt"}])
    with senders.session(world, world.addresses["xn--bcher-kva"]["4"]) as client:
        assert "SMTPUTF8" in client.greeted().keywords()
        client.expect(250, "MAIL FROM:<sender@legacy.example> SMTPUTF8")
        for domain in ("bücher.example", "BÜCHER.example"):
            assert senders.refused(client.command(f"RCPT TO:<user@{domain}>")) == "4.7.5"
    gateway.wait_for_log(r"policy decision .*domain=xn--bcher-kva.example .*policy=dane .*reason=tlsa_mismatch")


def test_a_stale_record_that_hides_the_right_one_is_named(world, start_gateway, intercepting):
    start_gateway()
    domain = domains.named("dane-stale")
    with senders.session(world, *senders.at_its_host(world)(domain)) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        reply = client.command(f"RCPT TO:<user@{domain.full}>")
    assert senders.refused(reply) == "4.7.5"
    assert "3 1 1 " in reply.text and "does not count beside 3 1 2 00" in reply.text


def test_a_void_record_says_why(world, start_gateway, intercepting):
    gateway = start_gateway()
    domain = domains.named("sts-void-record")
    assert senders.outcomes(world, [domain], senders.at_its_host(world)) == expected([domain], "may")
    gateway.wait_for_log(rf"MTA-STS policy domain={domain.full} reason=.*2024-01-01T00:00:00")


@pytest.mark.parametrize("route", ["mx", "original_destination"])
def test_malformed_domains_are_refused_and_no_other_is_taken_for_them(world, start_gateway, intercepting, route):
    start_gateway(route=route)
    endpoint = senders.at_the_gateway(PORT) if route == "mx" else senders.at_its_host(world)
    with senders.session(world, *endpoint(domains.named("trusted"))) as client:
        assert "SMTPUTF8" in client.greeted().keywords() or route == "mx"
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        for name in ("trusted.example..", "..", ".trusted.example", "trusted..example", "trusted.example\u3002."):
            reply = client.command(f"RCPT TO:<user@{name}>")
            assert reply.code == 501, f"{name}: {reply}"
        client.expect(250, "RCPT TO:<user@trusted.example.>")


def test_names_that_libraries_answer_are_asked_for(world, start_gateway):
    start_gateway(route="mx")
    rows = domains.PRIVATE
    assert senders.outcomes(world, rows, senders.at_the_gateway(PORT)) == expected(rows, "may")


def test_by_mx_another_domain_waits_for_the_next_message(world, start_gateway):
    start_gateway(route="mx")
    with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
        assert client.greeted().keywords()["LIMITS"] == "RCPTDOMAINMAX=1"
        for first, second in (("trusted", "named"), ("named", "trusted")):
            client.expect(250, "MAIL FROM:<sender@legacy.example>")
            client.expect(250, f"RCPT TO:<user@{first}.example>")
            assert senders.refused(client.command(f"RCPT TO:<user@{second}.example>")) == "4.5.3"
            client.expect(250, f"RCPT TO:<other@{first}.example>")
            client.expect(250, "RSET")
        client.quit()


def test_by_mx_the_next_host_takes_over(world, start_gateway):
    start_gateway(route="mx")
    for name in ("first-dead", "first-mismatch"):
        token, domain = new_token(), domains.named(name)
        with senders.session(world, *senders.at_the_gateway(PORT)(domain)) as client:
            assert senders.send(world, client, domain.full, token) == "tls"
        assert world.remote.wait_for(domain.full, token).host == f"mx.{domain.full}"
