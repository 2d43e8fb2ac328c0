"""A certificate that an ACME client renews is served without anybody being told."""

import os

import pytest

from harness.acme import Acme
from harness.certificates import fingerprint
from harness.ports import PATIENCE, wait_until
from test_rotation import served

NAME = "mx.example.org"


@pytest.fixture
def acme(build_folder, folder, certificates):
    with Acme(build_folder, f"{folder}/acme", certificates.authority) as acme:
        yield acme


def test_what_certbot_renews_is_served_without_a_signal(acme, start_gateway, scripted_server):
    pair = acme.obtain(NAME)
    gateway = start_gateway(
        {"address": scripted_server().address}, mode="implicit", top={"certificates": {"mx": [pair]}}
    )
    before = fingerprint(pair["chain"])
    assert served(gateway.port(), NAME) == before
    for number in (2, 3):
        acme.renew()
        assert os.readlink(pair["chain"]).endswith(f"fullchain{number}.pem")
        after = fingerprint(pair["chain"])
        assert after != before
        wait_until(lambda now=after: served(gateway.port(), NAME) == now, f"the one of renewal {number} is served", PATIENCE, 0.1)
        before = after
