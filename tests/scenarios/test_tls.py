"""TLS as clients meet it: versions, certificates by name and key type, resumption, ALPN, client certificates."""

import contextlib
import os
import re
import socket
import ssl
import subprocess

import pytest

from harness.certificates import Authority, fingerprint
from harness.client import Client, Closed, tls_context
from harness.messages import message

MODES = ["starttls", "implicit"]


def connect_tls(port, mode, context=None, server_name="mx.example.org", session=None):
    """A client right after the handshake (and the greeting, with implicit TLS)."""
    client = Client(port)
    try:
        if mode == "implicit":
            client.start_tls(context, server_name, session)
            client.expect(220)
        else:
            client.greeted()
            client.starttls(context, server_name, session)
    except BaseException:
        client.close()
        raise
    return client


def presented(port, mode, **options):
    """The fingerprint of the certificate that the gateway shows."""
    with connect_tls(port, mode, **options) as client:
        text = ssl.DER_cert_to_PEM_cert(client.socket.getpeercert(binary_form=True))
    return _fingerprint_of(text)


def _fingerprint_of(pem):
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=pem, capture_output=True, text=True, check=True
    )
    return shown.stdout.split("=", 1)[1].strip().replace(":", "").lower()


# --- versions


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("low, high, works", [
    ("TLSv1.2", "TLSv1.3", {"1.2", "1.3"}), ("TLSv1.3", "TLSv1.3", {"1.3"}), ("TLSv1.2", "TLSv1.2", {"1.2"}),
])  # fmt: skip
def test_versions_of_a_listener(start_gateway, scripted_server, mode, low, high, works):
    gateway = start_gateway(
        {"address": scripted_server().address}, mode=mode, min_version=low, max_version=high
    )
    for version in ("1.2", "1.3"):
        context = tls_context(version=version)
        if version in works:
            with connect_tls(gateway.port(), mode, context) as client:
                assert client.socket.version() == f"TLSv{version}"
                client.expect(250, "EHLO client.example")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                connect_tls(gateway.port(), mode, context)
    assert gateway.daemon.running()


def test_old_versions_only_where_they_are_allowed(start_gateway, scripted_server):
    """TLS 1.0 against the default (refused) and against a listener for old machines (works)."""
    backend = {"address": scripted_server().address}
    listener = {"certificates": ["mx"], "allow_open_relay_risk": True, "backend": backend, "mode": "implicit"}
    gateway = start_gateway(inbound={"now": listener, "old": {**listener, "min_version": "TLSv1.0"}})

    def attempt(name):
        return subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port(name)}", "-tls1", "-cipher",
             "DEFAULT:@SECLEVEL=0", "-ign_eof"],
            input=b"QUIT\r\n", capture_output=True, timeout=60, check=False,
        ).stdout  # fmt: skip

    assert b"221 " in attempt("old")
    refused = attempt("now")
    assert b"221 " not in refused and b"220 " not in refused


# --- certificates


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_certificates_by_name(start_gateway, scripted_server, certificates, mode, version):
    gateway = start_gateway(
        {"address": scripted_server().address},
        top={
            "certificates": {
                "mx": [certificates.ecdsa.as_setting()],
                "wild": [certificates.wildcard.as_setting()],
                "other": [certificates.other.as_setting()],
            }
        },
        certificates=["mx", "wild", "other"],
        mode=mode,
    )
    expected = {
        "mx.example.org": certificates.ecdsa,
        "MX.Example.ORG": certificates.ecdsa,
        "other.example.com": certificates.other,
        "any.example.net": certificates.wildcard,
        "deep.any.example.net": certificates.ecdsa,  # a wildcard stands for one label: the default answers
        "example.net": certificates.ecdsa,
        "unknown.example": certificates.ecdsa,
        None: certificates.ecdsa,
    }
    for name, pair in expected.items():
        context = tls_context(version=version)
        assert presented(gateway.port(), mode, context=context, server_name=name) == fingerprint(pair.chain), name


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_ecdsa_and_rsa_under_one_name(start_gateway, scripted_server, certificates, version):
    gateway = start_gateway(
        {"address": scripted_server().address},
        top={"certificates": {"mx": [certificates.ecdsa.as_setting(), certificates.rsa.as_setting()]}},
        mode="implicit",
    )
    for algorithms, pair in (
        ("ECDSA+SHA256", certificates.ecdsa),
        ("RSA-PSS+SHA256:RSA+SHA256", certificates.rsa),
        ("ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256", certificates.ecdsa),
    ):
        shown = s_client(gateway.port(), version, "-sigalgs", algorithms)
        assert _fingerprint_of(shown[shown.index("-----BEGIN") :]) == fingerprint(pair.chain), algorithms


def test_the_chain_is_verified_by_a_strict_client(start_gateway, scripted_server, certificates):
    gateway = start_gateway({"address": scripted_server().address}, certificates=["mx"])
    context = tls_context(ca_file=certificates.authority.certificate)
    with connect_tls(gateway.port(), "starttls", context) as client:
        client.expect(250, "EHLO client.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect_tls(gateway.port(), "starttls", context, server_name="wrong.example.org")
    gateway.wait_for_log("client_tls_failure=(peer_alert|peer_closed|other) .*ended=client_tls_failed")


def test_an_expired_certificate_is_loudly_used(start_gateway, scripted_server, certificates):
    gateway = start_gateway(
        {"address": scripted_server().address}, top={"certificates": {"mx": [certificates.expired.as_setting()]}}
    )
    gateway.wait_for_log("(?i)warning.*expired|expired.*warning")
    assert presented(gateway.port(), "starttls") == fingerprint(certificates.expired.chain)


# --- resumption


def s_client(port, version, *options, text=""):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", f"-tls1_{version[-1]}", "-servername",
         "mx.example.org", *options],
        input=text, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


def resumed_sessions(port, version, rounds=6):
    """Makes a session, then tries to resume it in new connections; returns how often that worked."""
    context = tls_context(version=version)
    with connect_tls(port, "implicit", context) as client:
        client.expect(250, "EHLO client.example")  # tickets of TLS 1.3 come with the first octets read
        client.quit()
        session = client.socket.session
    count = 0
    for _ in range(rounds):
        with connect_tls(port, "implicit", context, session=session) as client:
            client.expect(250, "EHLO client.example")
            count += client.socket.session_reused
            client.quit()
    return count


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_sessions_are_resumed_by_every_worker(start_gateway, scripted_server, version):
    gateway = start_gateway({"address": scripted_server().address}, mode="implicit")
    assert resumed_sessions(gateway.port(), version, rounds=12) == 12
    gateway.wait_for_log("resumed")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_sessions_are_resumed_after_starttls(start_gateway, scripted_server, version):
    gateway = start_gateway({"address": scripted_server().address})
    context = tls_context(version=version)
    session = None
    for expected in (False, True, True):
        with connect_tls(gateway.port(), "starttls", context, session=session) as client:
            client.expect(250, "EHLO client.example")
            assert client.socket.session_reused == expected
            client.send_message("a@example.net", ["b@example.org"], message())
            client.quit()
            session = client.socket.session


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_no_tickets_no_resumption(start_gateway, scripted_server, version):
    gateway = start_gateway(
        {"address": scripted_server().address}, mode="implicit", session_tickets={"enabled": False}
    )
    assert resumed_sessions(gateway.port(), version, rounds=4) == 0


def ticket_key_file(folder):
    path = f"{folder}/tickets"
    with open(path, "wb") as file:
        file.write(os.urandom(80))
    os.chmod(path, 0o600)
    return path


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_session_outlives_a_restart_with_a_key_file(start_gateway, scripted_server, folder, version):
    tickets = {"key_file": ticket_key_file(folder)}
    address = scripted_server().address
    gateway = start_gateway({"address": address}, mode="implicit", session_tickets=tickets)
    saved = f"{folder}/session"
    first = s_client(gateway.port(), version, "-sess_out", saved, "-ign_eof", text="QUIT\r\n")
    assert "New, TLSv1" in first and os.path.exists(saved)
    gateway.stop()
    gateway.start()
    again = s_client(gateway.port(), version, "-sess_in", saved, "-ign_eof", text="QUIT\r\n")
    assert "Reused, TLSv1" in again
    # Another instance with the same file knows it, too; one without does not.
    twin = start_gateway({"address": address}, mode="implicit", session_tickets=tickets)
    assert "Reused, TLSv1" in s_client(twin.port(), version, "-sess_in", saved, "-ign_eof", text="QUIT\r\n")
    stranger = start_gateway({"address": address}, mode="implicit")
    assert "New, TLSv1" in s_client(stranger.port(), version, "-sess_in", saved, "-ign_eof", text="QUIT\r\n")


# --- ALPN


@pytest.mark.parametrize("mode", MODES)
def test_alpn(start_gateway, scripted_server, mode):
    gateway = start_gateway({"address": scripted_server().address}, mode=mode)
    for offered, chosen in ((None, None), (["smtp"], "smtp"), (["http/1.1", "smtp"], "smtp")):
        with connect_tls(gateway.port(), mode, tls_context(alpn=offered)) as client:
            assert client.socket.selected_alpn_protocol() == chosen
    for offered in (["http/1.1"], ["h2", "imap"]):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connect_tls(gateway.port(), mode, tls_context(alpn=offered))


# --- client certificates


def handshake_with(port, version, pair):
    """What EHLO and MAIL are answered inside TLS, or None where the handshake failed."""
    context = tls_context(version=version, client_pair=pair)
    try:
        with connect_tls(port, "starttls", context) as client:
            return client.command("EHLO client.example").code, client.command("MAIL FROM:<a@example.net>").code
    except (ssl.SSLError, ConnectionError, Closed):
        return None


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_client_certificates(start_gateway, scripted_server, certificates, authority, folder, version):
    stranger = Authority(f"{folder}/stranger", "Another CA").issue("client.example.com", client=True)
    backend = {"address": scripted_server().address}
    ca_file = authority.certificate
    for mode, no_pair, good, bad in (
        ("off", True, True, True),
        ("request", True, True, None),  # a bad one given on request: either way, but never a crash
        ("require", False, True, False),
    ):
        settings = {"mode": mode, **({} if mode == "off" else {"ca_file": ca_file})}
        gateway = start_gateway(backend, client_certificates=settings)
        for pair, allowed in ((None, no_pair), (certificates.client, good), (stranger, bad)):
            result = handshake_with(gateway.port(), version, pair)
            if allowed is True:
                assert result == (250, 250), (mode, pair)
            elif allowed is False:
                assert result is None or result[1] == 554, (mode, pair, result)
        if mode != "off":
            gateway.wait_for_log("client.example.com")


def test_resumption_does_not_lose_the_client_certificate(start_gateway, scripted_server, certificates, authority):
    """A session made with a certificate may be resumed; without one, `require` must not be got around."""
    server = scripted_server()
    gateway = start_gateway(
        {"address": server.address}, client_certificates={"mode": "require", "ca_file": authority.certificate}
    )
    for version in ("1.2", "1.3"):
        context = tls_context(version=version, client_pair=certificates.client)
        with connect_tls(gateway.port(), "starttls", context) as client:
            client.expect(250, "EHLO client.example")
            client.expect(250, "MAIL FROM:<a@example.net>")
            session = client.socket.session
        with connect_tls(gateway.port(), "starttls", context, session=session) as client:
            client.expect(250, "EHLO client.example")
            client.expect(250, "MAIL FROM:<a@example.net>")


# --- hostile handshakes


@pytest.mark.parametrize("mode", MODES)
def test_garbage_instead_of_a_handshake(start_gateway, scripted_server, mode):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, mode=mode)
    hello = client_hello()
    attempts = [
        b"\0" * 300, b"GET / HTTP/1.0\r\n\r\n", b"EHLO a\r\n" * 50, b"\x16\x03\x01\xff\xff" + b"a" * 70_000,
        hello[:20], hello[:-1], hello[:60] + b"\xff" * 40 + hello[100:], b"\x15\x03\x01\0\2\2\x28", hello + hello,
    ]  # fmt: skip
    for octets in attempts:
        with Client(gateway.port()) as client, contextlib.suppress(ConnectionError, socket.timeout):
            if mode == "starttls":
                client.greeted()
                client.expect(220, "STARTTLS")
            client.send(octets)
            client.socket.shutdown(socket.SHUT_WR)
            assert b"250" not in client.rest()
    with connect_tls(gateway.port(), mode) as client:
        client.expect(250, "EHLO client.example")
        client.quit()
    assert not re.search(rb"MAIL|RCPT", server.received())


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = tls_context().wrap_bio(incoming, outgoing, server_hostname="mx.example.org")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_renegotiation_is_refused(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, mode="implicit")
    # "R" at the start of a line makes s_client renegotiate; the NOOP behind it must not be answered.
    shown = s_client(gateway.port(), "1.2", "-crlf", text="EHLO a\nR\nNOOP after\n")
    assert "250" not in shown.partition("RENEGOTIATING")[2]
    with connect_tls(gateway.port(), "implicit") as client:
        client.expect(250, "EHLO client.example")
