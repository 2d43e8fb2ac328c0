"""The legacy hosts as they are without a gateway: what they send arrives, in plaintext, and what waits is kept."""

import domains
import pytest
import world as places

from harness.messages import message, new_token


@pytest.mark.parametrize("name", ["trusted", "six", "dual", "cname", "implicit-mx", "first-dead", "mx-bogus"])
def test_mail_arrives_in_plaintext(world, legacy_host, name):
    token, domain = new_token(), domains.named(name).full
    legacy_host.submit([f"user@{domain}"], message(token=token))
    assert world.remote.wait_for(domain, token).tls == ""


def test_postfix_keeps_what_is_refused_for_now(world, legacy_postfix):
    token = new_token()
    with world.serve(replies={"RCPT": "451 4.7.5 not now\r\n"}) as server:
        identifier = legacy_postfix.submit([f"user@[{places.SCRIPTED['4']}]"], message(token=token))
        legacy_postfix.wait_for_log(r"status=deferred .*451 4\.7\.5 not now")
        server.script.replies.clear()
        legacy_postfix.wait_until_done(identifier)
        assert [token.encode() in content for content in server.messages()] == [True]


def test_postfix_returns_what_is_refused(world, legacy_postfix):
    token = new_token()
    legacy_postfix.submit(["user@null-mx.example"], message(token=token))
    assert b"does not accept mail" in legacy_postfix.bounces.wait_for(token.encode())
