"""Real clients send through the gateway into `postern sink`: every one over TLS 1.2 and 1.3, STARTTLS and implicit."""

import subprocess

import pytest

from harness.client import Client
from harness.exim import CLIENT_KINDS as EXIM_KINDS
from harness.maildir import body_of, sha256
from harness.messages import PLAIN_BODIES, message, new_token
from harness.postfix import CLIENT_KINDS as POSTFIX_KINDS

BODY = PLAIN_BODIES["dots"] + PLAIN_BODIES["eight bit"]
MODES = ["starttls", "implicit"]
VERSIONS = ["1.2", "1.3"]


def listeners(sink, starttls=None, implicit=None):
    def listener(mode, port):
        settings = {
            "mode": mode,
            "certificates": ["mx"],
            "allow_open_relay_risk": True,
            "backend": {"address": sink.address},
        }
        if port:
            settings["listen"] = [f"127.0.0.1:{port}"]
        return settings

    return {"starttls": listener("starttls", starttls), "implicit": listener("implicit", implicit)}


@pytest.fixture
def gateway(start_gateway, sink):
    return start_gateway(inbound=listeners(sink))


def run(argv, text=b""):
    done = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, f"{argv}: status {done.returncode}\n{output}"
    return output


def assert_delivered(sink, token, body):
    assert sha256(body_of(sink.maildir.wait_for(token.encode()))) == sha256(body)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_swaks(gateway, sink, folder, mode, version):
    token = new_token()
    with open(f"{folder}/message", "wb") as file:
        # swaks ends the text with a line end of its own.
        file.write(message(BODY, token).replace(b"\r\n", b"\n").removesuffix(b"\n"))
    output = run(
        ["swaks", "--server", "127.0.0.1", "--port", str(gateway.port(mode)), "--helo", "client.example",
         "--tls" if mode == "starttls" else "--tls-on-connect",
         "--tls-protocol", "tlsv1_2" if version == "1.2" else "tlsv1_3",
         "--from", "a@example.net", "--to", "b@example.org", "--data", f"@{folder}/message"]
    )  # fmt: skip
    assert f"TLS started with cipher TLSv{version}" in output
    assert_delivered(sink, token, BODY)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_curl(gateway, sink, folder, certificates, mode, version):
    token = new_token()
    with open(f"{folder}/message", "wb") as file:
        file.write(message(BODY, token))
    port = gateway.port(mode)
    scheme, options = ("smtp", ["--ssl-reqd"]) if mode == "starttls" else ("smtps", [])
    output = run(
        ["curl", "--silent", "--show-error", "--verbose", *options, f"--tlsv{version}", "--tls-max", version,
         "--cacert", certificates.authority.certificate, "--resolve", f"mx.example.org:{port}:127.0.0.1",
         f"{scheme}://mx.example.org:{port}/client.example", "--mail-from", "a@example.net",
         "--mail-rcpt", "b@example.org", "--upload-file", f"{folder}/message"]
    )  # fmt: skip
    assert f"SSL connection using TLSv{version}" in output
    assert_delivered(sink, token, BODY)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_openssl_s_client(gateway, sink, certificates, mode, version):
    token = new_token()
    dialogue = SClient(gateway.port(mode), mode, version, certificates)
    try:
        if mode == "implicit":
            dialogue.expect(b"220")
        for command, code in (
            (b"EHLO client.example", b"250"),
            (b"MAIL FROM:<a@example.net>", b"250"),
            (b"RCPT TO:<b@example.org>", b"250"),
            (b"DATA", b"354"),
            (message(b"typed by hand\r\n", token) + b".", b"250"),
            (b"QUIT", b"221"),
        ):
            dialogue.say(command)
            dialogue.expect(code)
    finally:
        dialogue.end()
    assert_delivered(sink, token, b"typed by hand\r\n")


class SClient:
    """`openssl s_client` on pipes. It checks the certificate and its name, or does not connect."""

    def __init__(self, port, mode, version, certificates):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", f"-tls1_{version[-1]}",
             "-servername", "mx.example.org", "-verify_hostname", "mx.example.org", "-verify_return_error",
             "-CAfile", certificates.authority.certificate,
             *(["-starttls", "smtp", "-name", "client.example"] if mode == "starttls" else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def say(self, text):
        self.process.stdin.write(text + b"\r\n")
        self.process.stdin.flush()

    def expect(self, code):
        while True:
            line = self.process.stdout.readline()
            assert line, "s_client ended"
            if line[3:4] != b"-":
                assert line.startswith(code), line
                return

    def end(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.parametrize("kind", POSTFIX_KINDS)
def test_postfix_as_client(start_gateway, sink, postfix, kind):
    start_gateway(inbound=listeners(sink, postfix.target["starttls"], postfix.target["implicit"]))
    token = new_token()
    postfix.submit("a@example.net", f"{token}@{kind}.test", message(BODY, token))
    process = postfix.wait_for_log(rf"(smtp\[\d+\]): .*to=<{token}@{kind}\.test>.* status=sent").group(1)
    # What the same process logged before, when it connected, tells how that was protected.
    before = postfix.log().partition(f"to=<{token}@{kind}.test>")[0].splitlines()
    secured = [line for line in before if process in line and "TLS connection established" in line]
    assert f": TLSv1.{kind[-1]} with cipher" in secured[-1]
    assert_delivered(sink, token, BODY)


@pytest.mark.parametrize("kind", EXIM_KINDS)
def test_exim_as_client(gateway, sink, exim, kind):
    token = new_token()
    port = gateway.port(kind[:-2])
    exim.submit("a@example.net", f"{token}@{kind}.p{port}.test", message(BODY, token).replace(b"\r\n", b"\n"))
    exim.wait_for_log(f"=> {token}@{kind}.p{port}.test .* X=TLS1.{kind[-1]}:")
    assert_delivered(sink, token, BODY)


def test_a_client_that_never_asks_for_tls(gateway, sink):
    token = new_token()
    with Client(gateway.port("starttls")) as client:
        assert "STARTTLS" in client.greeted().keywords()
        client.send_message("a@example.net", ["b@example.org"], message(BODY, token))
        client.quit()
    assert_delivered(sink, token, BODY)
