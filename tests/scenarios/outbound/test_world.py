"""The internet of these scenarios is what domains.py says, by Postfix's own judgement and curl's."""

import concurrent.futures
import re

import domains
import pytest

HARMLESS = rb"(EHLO \S+\r\n|STARTTLS\r\n|QUIT\r\n)*"
# posttls-finger stops at the first host that answers.
_SEVERAL_HOSTS = [domain for domain in domains.SEVERAL_HOSTS if domain.name != "first-mismatch"]
# It takes DANE into account at these levels alone, and knows nothing of MTA-STS.
QUESTIONS = [(domain, level) for domain in domains.WITH_DANE for level in ("may", "dane-only")] + [
    (domain, level)
    for domain in domains.WITHOUT_POLICY + domains.WITHOUT_HOST + _SEVERAL_HOSTS
    for level in domains.LEVELS
]


def test_posttls_finger_agrees_with_the_table(world):
    assert len({domain.name for domain, _ in QUESTIONS}) >= 25
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        outcomes = pool.map(lambda question: world.finger.outcome(question[0].full, question[1]), QUESTIONS)
        found = dict(zip(((domain.name, level) for domain, level in QUESTIONS), outcomes))
    wanted = {(domain.name, level): domain.expected(level) for domain, level in QUESTIONS}
    assert found == wanted


@pytest.mark.parametrize(
    "outcome, options",
    [
        ("tls", {}),
        ("4.7.4", {"offer": "XXXXXXXA"}),
        ("4.7.4", {"replies": {"STARTTLS": "454 4.7.0 not now\r\n"}}),
        ("4.7.5", {"dies_at": "HELLO?"}),
    ],
)
def test_a_scripted_host_does_what_it_is_told(world, outcome, options):
    with world.serve(**options) as server:
        assert world.finger.outcome("scripted-dane.example", "may") == outcome
        assert re.fullmatch(HARMLESS, server.plain())


def fetch_policy(world, name):
    """Body and status, by curl, which trusts the authority of the scenarios."""
    url = f"https://mta-sts.{domains.named(name).full}/.well-known/mta-sts.txt"
    options = ["--silent", "--show-error", "--noproxy", "*", "--cacert", world.authority.certificate]
    said = world.gateway.run("curl", *options, "--write-out", "%{http_code}", url)
    return said[:-3].splitlines(), int(said[-3:])


def test_policies_are_published(world):
    assert fetch_policy(world, "sts") == (
        ["version: STSv1", "mode: enforce", "mx: mx.sts.example", "max_age: 86400"], 200,
    )  # fmt: skip
    assert fetch_policy(world, "sts-testing")[0][1] == "mode: testing"
    assert fetch_policy(world, "sts-by-six")[1] == 200
    assert fetch_policy(world, "sts-missing")[1] == 404
    assert fetch_policy(world, "sts-redirect")[1] == 302
    with pytest.raises(AssertionError, match="certificate"):
        fetch_policy(world, "sts-untrusted-policy-host")
    assert set(world.policy_host.requests_for("sts.example")) == {"/.well-known/mta-sts.txt"}
