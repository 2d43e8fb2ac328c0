"""The image itself, in a pod with a real mail server. Runs where POSTERN_IMAGE names an image that was built by
`podman build --format docker -f docker/Dockerfile`, and POSTERN_LEGACY_IMAGE one of docker/legacy-mta; podman's own settings
(CONTAINERS_CONF) say what this machine needs.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import threading

import pytest

from harness.certificates import fingerprint
from harness.client import Client, Closed, tls_context
from harness.messages import message, new_token
from harness.ports import free_port, wait_until

IMAGE, LEGACY = os.environ.get("POSTERN_IMAGE"), os.environ.get("POSTERN_LEGACY_IMAGE")
pytestmark = pytest.mark.skipif(
    not (IMAGE and LEGACY and shutil.which("podman")), reason="needs podman, POSTERN_IMAGE and POSTERN_LEGACY_IMAGE"
)


def podman(*words, check=True, **options):
    done = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=300, check=False, **options)
    assert not check or done.returncode == 0, f"podman {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done if not check else done.stdout.strip()


class Pod:
    """A mail server without TLS and Postern, which share a network; `secret` is mounted as Kubernetes would."""

    def __init__(self, folder):
        self.name = f"postern-{new_token()[:8]}"
        self.server, self.postern = f"{self.name}-mta", f"{self.name}-gateway"
        self.secret = f"{folder}/secret"
        self.port = free_port()
        os.mkdir(self.secret)
        self._number = 0

    def start(self, pair, **variables):
        self.rotate(pair)
        podman("pod", "create", "--name", self.name, "-p", f"127.0.0.1:{self.port}:2525")
        podman("run", "-d", "--name", self.server, "--pod", self.name, LEGACY)
        given = {
            "POSTERN_BACKEND": "127.0.0.1:25", "POSTERN_CLIENT_ADDRESS": "xclient", "POSTERN_HOSTNAME": "mx.example.org",
            **variables,
        }  # fmt: skip
        options = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
        podman(
            "run", "-d", "--name", self.postern, "--pod", self.name, "--read-only", "--read-only-tmpfs=false",
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--stop-timeout", "120",
            "-v", f"{self.secret}:/etc/postern/tls:ro", *options, IMAGE,
        )  # fmt: skip
        wait_until(self.healthy, "Postern is healthy", 120, 0.5)
        wait_until(self.greets, "the server greets", 120, 0.5)

    def rotate(self, pair):
        """..data leads to another folder at once."""
        self._number += 1
        new = f"{self.secret}/..{self._number}"
        os.mkdir(new)
        shutil.copy(pair.chain, f"{new}/tls.crt")
        shutil.copy(pair.key, f"{new}/tls.key")
        os.chown(f"{new}/tls.key", 0, 10025)
        os.chmod(f"{new}/tls.key", 0o440)
        os.symlink(f"..{self._number}", f"{self.secret}/..data_tmp")
        os.rename(f"{self.secret}/..data_tmp", f"{self.secret}/..data")
        for name in ("tls.crt", "tls.key"):
            with contextlib.suppress(FileExistsError):
                os.symlink(f"..data/{name}", f"{self.secret}/{name}")
        shutil.rmtree(f"{self.secret}/..{self._number - 1}", ignore_errors=True)

    def healthy(self):
        return podman("healthcheck", "run", self.postern, check=False).returncode == 0

    def greets(self):
        try:
            with Client(self.port, timeout=10) as client:
                return client.line().startswith(b"220")
        except (OSError, Closed):
            return False

    @contextlib.contextmanager
    def client(self):
        with Client(self.port) as client:
            client.greeted()
            client.starttls(tls_context())
            client.expect(250, "EHLO client.example")
            yield client

    def served(self):
        with self.client() as client:
            return hashlib.sha256(client.socket.getpeercert(binary_form=True)).hexdigest()

    def stored(self, token):
        return podman("exec", self.server, "sh", "-c", f"grep -rl 'X-Token: {token}' /var/mail/inbox/new | xargs -r cat", check=False).stdout

    def remove(self):
        print(podman("logs", self.postern, check=False).stderr[-6000:])
        podman("pod", "rm", "-f", self.name, check=False)


@pytest.fixture
def pod(folder):
    made = Pod(folder)
    yield made
    made.remove()


def test_the_image():
    """Small, nobody's root, with nothing in it that only the build needs."""
    (facts,) = json.loads(podman("image", "inspect", IMAGE))
    print(facts["Size"])
    assert facts["Size"] < 120_000_000
    assert facts["Config"]["User"] == "10025:10025" and facts["Config"]["StopSignal"] == "SIGTERM"
    assert facts["Healthcheck"]["Test"] == ["CMD", "postern-health"]
    shown = podman(
        "run", "--rm", "--entrypoint", "sh", IMAGE, "-c",
        "ls -A /var/lib/apt/lists /var/cache/apt; ls /src; grep -c debug_info /usr/local/bin/postern /usr/local/libexec/postern/*; id -u; "
        "ls -ld /run/postern", check=False,
    ).stdout  # fmt: skip
    assert "postern:0" in shown and "postern-resolver:0" in shown, shown
    assert "10025" in shown and "Packages" not in shown and "pkgcache" not in shown


def test_mail_rotation_and_health(pod, certificates, authority):
    pod.start(certificates.ecdsa)
    token = new_token()
    with pod.client() as client:
        client.send_message("a@example.net", ["you@example.org"], message(token=token))
        client.quit()
    wait_until(lambda: token in pod.stored(token), "the server has the message", 60, 0.5)
    assert "client.example" in pod.stored(token).partition("X-Token")[0], "XCLIENT told who the client was"
    written = podman("exec", pod.postern, "touch", "/etc/x", "/var/lib/postern/x", check=False)
    assert written.returncode != 0 and written.stderr.count("Read-only") == 2

    started = podman("inspect", pod.postern, "--format", "{{.State.StartedAt}} {{.RestartCount}}")
    for _ in range(5):
        pair = authority.issue("mx.example.org")
        pod.rotate(pair)
        wait_until(lambda wanted=fingerprint(pair.chain): pod.served() == wanted, "the new certificate is served", 60, 0.2)
    assert podman("inspect", pod.postern, "--format", "{{.State.StartedAt}} {{.RestartCount}}") == started

    podman("stop", "-t", "5", pod.server)
    with Client(pod.port) as client:
        client.expect(421)
    assert pod.healthy(), "the server behind is away"
    status = podman("exec", pod.postern, "postern", "status", "--config", "/run/postern/postern.yaml")
    assert "mx.example.org" in status or "127.0.0.1:25" in status


def test_a_stop_lets_a_message_end(pod, certificates):
    pod.start(certificates.ecdsa)
    token = new_token()
    with pod.client() as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<you@example.org>")
        client.expect(354, "DATA")
        content = message(b"a line\r\n" * 20_000, token)
        client.send(content[:50_000])
        stopping = threading.Thread(target=podman, args=("stop", pod.postern))
        stopping.start()
        wait_until(lambda: takes_nobody(pod.port), "nobody else is taken", 60, 0.1)
        client.send(content[50_000:] + b".\r\n")
        client.expect(250)
    stopping.join()
    assert podman("inspect", pod.postern, "--format", "{{.State.ExitCode}}") == "0"
    wait_until(lambda: token in pod.stored(token), "the server has the message", 60, 0.5)


def takes_nobody(port):
    try:
        with Client(port, timeout=5) as client:
            return not client.line().startswith(b"220")
    except (OSError, Closed):
        return True


def test_a_bad_variable_ends_it(folder):
    done = podman("run", "--rm", "-e", "POSTERN_BACKEND=mta", "-e", "POSTERN_SELF_SIGNED=yes", "-e", "POSTERN_HOSTNAME=a.example", IMAGE, check=False)
    assert done.returncode == 1 and "POSTERN_DOMAINS: is not set" in done.stderr
