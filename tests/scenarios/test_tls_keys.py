"""Keys, curves and files of every kind that peers and operators have: our own certificates, clients', authorities'."""

import re
import ssl
import subprocess

import pytest
from test_tls import handshake_with, presented, s_client

from harness.certificates import Authority, Pair, fingerprint
from harness.client import Client, tls_context
from harness.gateway import Gateway, write_configuration
from harness.messages import message, new_token
from harness.ports import free_port
from harness.scripted_server import Remote

VERSIONS = ["1.2", "1.3"]
KINDS = ["rsa", "p256", "p384", "p521"]
MARK = b"\xef\xbb\xbf"


def joined(path, *parts):
    """A file with the parts: bytes, or the paths of other files."""
    with open(path, "wb") as out:
        for part in parts:
            if isinstance(part, bytes):
                out.write(part)
            else:
                with open(part, "rb") as piece:
                    out.write(piece.read())
    return path


# --- clients, and our own certificates


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_every_kind_serves(start_gateway, scripted_server, authority, kind, version):
    pair = authority.issue("mx.example.org", kind)
    gateway = start_gateway(
        {"address": scripted_server().address}, top={"certificates": {"mx": [pair.as_setting()]}}
    )
    context = tls_context(ca_file=authority.certificate, version=version)
    assert presented(gateway.port(), "starttls", context=context) == fingerprint(pair.chain)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_clients_with_a_key_of_every_kind(start_gateway, scripted_server, authority, kind, version):
    settings = {"mode": "require", "ca_file": authority.certificate}
    gateway = start_gateway({"address": scripted_server().address}, client_certificates=settings)
    pair = authority.issue("client.example.com", kind, client=True)
    assert handshake_with(gateway.port(), version, pair) == (250, 250)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384", "P-521"])
def test_clients_that_know_a_single_group(start_gateway, scripted_server, certificates, version, group):
    """In TLS 1.2 that binds the certificate's curve as well, so that it takes RSA."""
    top = {"certificates": {"mx": [certificates.rsa.as_setting()]}}
    gateway = start_gateway({"address": scripted_server().address}, top=top, mode="implicit")
    assert f"New, TLSv{version}" in s_client(gateway.port(), version, "-groups", group)


def test_key_exchange_without_forward_secrecy_takes_its_name(start_gateway, scripted_server, certificates):
    top = {"certificates": {"mx": [certificates.rsa.as_setting()]}}
    backend = {"address": scripted_server().address}
    usual = start_gateway(backend, top=top, mode="implicit")
    assert "Cipher is (NONE)" in s_client(usual.port(), "1.2", "-cipher", "AES128-SHA")
    named = start_gateway(backend, top=top, mode="implicit", cipher_list="ECDHE+AESGCM:AES128-SHA")
    assert "Cipher is AES128-SHA" in s_client(named.port(), "1.2", "-cipher", "AES128-SHA")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_not_resumed_under_another_name(start_gateway, scripted_server, certificates, folder, version):
    gateway = start_gateway(
        {"address": scripted_server().address},
        top={
            "certificates": {"mx": [certificates.ecdsa.as_setting()], "other": [certificates.other.as_setting()]}
        },
        certificates=["mx", "other"],
        mode="implicit",
    )
    saved = f"{folder}/session"

    def again(name):
        options = ["-servername", name, "-sess_in", saved, "-ign_eof"]
        return s_client(gateway.port(), version, *options, text="QUIT\r\n")

    s_client(gateway.port(), version, "-sess_out", saved, "-ign_eof", text="QUIT\r\n")
    assert "New, TLSv1" in again("other.example.com")
    assert "New, TLSv1" in again("unknown.example")
    assert "Reused, TLSv1" in again("mx.example.org")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_certificate_that_may_not_sign(start_gateway, scripted_server, authority, version):
    """The library refuses it; the log says what it lacks. Where it is only requested, it is not asked for again."""
    pair = authority.issue("client.example.com", client=True, usage="keyEncipherment")
    for mode, at_last in (("request", (250, 250)), ("require", None)):
        settings = {"mode": mode, "ca_file": authority.certificate}
        gateway = start_gateway({"address": scripted_server().address}, client_certificates=settings)
        assert handshake_with(gateway.port(), version, pair) is None
        gateway.wait_for_log("its keyUsage lacks digitalSignature")
        assert handshake_with(gateway.port(), version, pair) == at_last


# --- authorities of clients


@pytest.mark.parametrize("version", VERSIONS)
def test_byte_order_marks_lose_no_authority(start_gateway, scripted_server, authority, folder, version):
    second = Authority(f"{folder}/second", "Second CA")
    ca_file = joined(f"{folder}/cas.pem", MARK, authority.certificate, MARK, second.certificate)
    settings = {"mode": "require", "ca_file": ca_file}
    gateway = start_gateway({"address": scripted_server().address}, client_certificates=settings)
    for issuer in (authority, second):
        pair = issuer.issue("client.example.com", client=True)
        assert handshake_with(gateway.port(), version, pair) == (250, 250)


@pytest.mark.parametrize("twin_first", [True, False], ids=["in front", "behind"])
def test_an_expired_authority_hides_none(start_gateway, scripted_server, folder, twin_first):
    """Of the same name and key, in the file of authorities as in what the client sends."""
    root = Authority(f"{folder}/root", "Root")
    middle = root.intermediate("Middle")
    pair = middle.issue("client.example.com", client=True)
    roots = [root.certify(root, days=-1), root.certificate]
    middles = [root.certify(middle, days=-1), middle.certificate]
    leaf = pair.chain.replace(".pem", ".crt")
    ca_file = joined(f"{folder}/cas.pem", *(roots if twin_first else roots[::-1]))
    chain = joined(f"{folder}/chain.pem", leaf, *(middles if twin_first else middles[::-1]))
    settings = {"mode": "require", "ca_file": ca_file}
    gateway = start_gateway({"address": scripted_server().address}, client_certificates=settings)
    gateway.wait_for_log(r"cas.pem: line \d+: this CA \(CN=Root\) expired on ")
    for version in VERSIONS:
        assert handshake_with(gateway.port(), version, Pair(chain, pair.key)) == (250, 250)


# --- what check says


def verdict(postern, folder, pair, command="check", **listener):
    settings = {
        "certificates": {"mx": [pair.as_setting()]},
        "inbound": {
            "mx": {
                "listen": [f"127.0.0.1:{free_port()}"], "certificates": ["mx"], "allow_open_relay_risk": True,
                "backend": {"address": "127.0.0.1:2525"}, **listener,
            }
        },
    }  # fmt: skip
    path = write_configuration(f"{folder}/postern.yaml", settings)
    done = subprocess.run(
        [postern, command, "--config", path], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_a_certificate_that_may_not_sign_is_an_error_of_every_command(postern, folder, authority, kind):
    pair = authority.issue("mx.example.org", kind, usage="keyEncipherment,dataEncipherment")
    for command in ("check", "run", "tlsa"):
        status, said = verdict(postern, folder, pair, command)
        assert status == 1, said
        assert re.search(r"postern.yaml:\d+:\d+: error: .*\(keyEncipherment, dataEncipherment\) lacks digitalS", said)


def test_joined_and_spoilt_blocks_are_named_with_their_line(postern, folder, authority):
    pair = authority.issue("mx.example.org")
    with open(pair.chain, "rb") as file:
        chain = file.read()
    second = chain.index(b"-----BEGIN", 10)
    line = chain.count(b"\n", 0, second)
    joined(pair.chain, chain[: second - 1], chain[second:])
    status, said = verdict(postern, folder, pair)
    assert status == 0 and f"line {line}: this BEGIN CERTIFICATE is joined to the END before it" in said
    joined(pair.chain, chain[:second], chain[second + 1 :])
    status, said = verdict(postern, folder, pair)
    assert status == 1 and f"line {line + 1}: this looks like the mark of a block" in said


def test_a_leaf_without_its_intermediate_is_warned_of(postern, folder):
    root = Authority(f"{folder}/root", "Root")
    pair = root.intermediate("Middle").issue("mx.example.org")
    assert "holds one certificate only" not in verdict(postern, folder, pair)[1]
    alone = Pair(pair.chain.replace(".pem", ".crt"), pair.key)
    status, said = verdict(postern, folder, alone)
    assert status == 0 and "holds one certificate only, whose issuer (CN=Middle)" in said


@pytest.mark.parametrize("cipher_list", ["!ALL", "no such cipher", "PSK"])
def test_a_cipher_list_that_selects_nothing_is_an_error(postern, folder, certificates, cipher_list):
    status, said = verdict(postern, folder, certificates.ecdsa, cipher_list=cipher_list)
    assert status == 1 and re.search(r"postern.yaml:\d+:\d+: error: .*the cipher list", said)


# --- remote servers


@pytest.fixture
def deliver(postern, folder, scripted_server, gateways):
    """deliver(context, level): one message through a relay with that context. The connection that it took."""

    def by(context, level):
        server = scripted_server(Remote(context))
        listener = {
            "route": "relay", "relay": {"address": server.address, "mode": "starttls"}, "level": level,
            "dane": False, "mta_sts": False, "allow_clients": ["127.0.0.1"],
        }  # fmt: skip
        gateway = Gateway(postern, f"{folder}/gateway{len(gateways)}", outbound={"out": listener}).start()
        gateways.append(gateway)
        token = new_token()
        with connect_plain(gateway.port("out")) as client:
            client.send_message("a@example.net", ["b@example.org"], message(token=token))
            client.quit()
        (taken,) = [connection for connection in server.connections if connection.messages]
        assert token.encode() in taken.messages[0]
        return taken

    return by


def connect_plain(port):
    client = Client(port)
    client.greeted()
    return client


def server_context(pair, version, group=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.chain, pair.key)
    number = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    context.minimum_version = context.maximum_version = number
    if group:
        context.set_ecdh_curve(group)
    return context


@pytest.mark.parametrize("level", ["may", "encrypt"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind, group", [("p384", None), ("p521", None), ("rsa", "secp384r1"), ("rsa", "secp521r1")])
def test_servers_with_large_curves_get_their_mail_in_tls(deliver, authority, kind, group, version, level):
    pair = authority.issue("relay.example.org", kind)
    taken = deliver(server_context(pair, version, group), level)
    assert taken.in_tls and b"MAIL" not in taken.plain

