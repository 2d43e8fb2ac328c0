"""The status page: what it says, that it says the same in every form, and that nothing hostile in it does anything."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from harness.client import Client, secure_client, tls_context
from harness.debian import unpack
from harness.ports import PATIENCE, free_port, is_listening, wait_until
from harness.prometheus import get
from harness.scripted_server import Obedient

HOSTILE = "<script>document.title='taken'</script><img/src=x/onerror=alert(1)>"


@pytest.fixture
def gateway(start_gateway, scripted_server):
    """One client that had TLS 1.2 and a hostile name has been there, and one without TLS that was refused something."""
    server = scripted_server(Obedient())
    port = free_port()
    started = start_gateway(
        {"address": server.address}, recipients={"allow_domains": ["example.org"]}, limits={"sessions": 7},
        top={"admin": {"listen": f"127.0.0.1:{port}"}},
    )  # fmt: skip
    started.admin = port
    wait_until(lambda: is_listening(port, started.pid), "the admin server listens")
    with Client(started.port()) as client:
        client.greeted()
        client.starttls(tls_context(version="1.2"))
        assert client.command(f"EHLO {HOSTILE}").code == 250
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.expect(250, "hello\r\n.")
        client.expect(221, "QUIT")
        client.rest()
    with Client(started.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(550, "RCPT TO:<b@elsewhere.example>")
        client.expect(221, "QUIT")
        client.rest()
    wait_until(lambda: status(started)["listeners"][0]["sessions"]["active"] == 0, "the sessions have ended")
    return started


def status(gateway):
    code, text, kind = get(gateway.admin, "/status?format=json")
    assert (code, kind) == (200, "application/json")
    return json.loads(text)


def test_it_says_what_there_is(gateway, certificates):
    said = status(gateway)
    assert said["ready"] and said["hostname"] == "gateway.example.org" and said["troubles"] == []
    assert said["configuration"]["last_reload_successful"]
    listener = said["listeners"][0]
    assert (listener["direction"], listener["name"], listener["mode"]) == ("inbound", "mx", "starttls")
    sessions = listener["sessions"]
    assert (sessions["total"], sessions["limit"], sessions["without_tls"]) == (2, 7, 1)
    assert sessions["highest"] in (1, 2), "the first may be ending still when the second begins"
    assert listener["messages"] == {"accepted": 1}
    assert listener["denied"] == {"relay_denied": 1}
    assert listener["bytes_in"] > 100
    (tls,) = listener["tls"]
    assert tls["side"] == "client" and tls["versions"] == {"TLSv1.2": 1} and tls["handshakes"] == 1
    (old,) = listener["old_tls"]
    assert (old["version"], old["peer"], old["name"], old["times"]) == ("TLSv1.2", "127.0.0.1", HOSTILE, 1)
    (backend,) = listener["backends"]
    assert backend["up"] and backend["connections"] == 0 and backend["seconds"] < 600
    (certificate,) = said["certificates"]
    assert certificate["served_by"] == ["inbound.mx"] and 0.5 < certificate["share_left"] <= 1
    with secure_client(gateway.port(), "starttls") as client:
        assert status(gateway)["listeners"][0]["sessions"]["active"] == 1
        client.expect(221, "QUIT")


def test_text_and_page_say_the_same(gateway):
    code, text, kind = get(gateway.admin, "/status?format=text")
    assert code == 200 and kind.startswith("text/plain")
    for word in ("gateway.example.org: ready", "relay_denied 1", "TLSv1.2 1", "accepted 1", HOSTILE):
        assert word in text, f"{word}: {text}"
    code, page, kind = get(gateway.admin, "/status")
    assert code == 200 and kind.startswith("text/html")
    for word in ("gateway.example.org", "relay_denied", "TLSv1.2", "accepted", "&lt;script&gt;document.title"):
        assert word in page, word
    assert "<script>document" not in page and "<img" not in page


def test_a_lost_backend_shows(start_gateway):
    port = free_port()
    gateway = start_gateway({"address": f"127.0.0.1:{free_port()}"}, top={"admin": {"listen": f"127.0.0.1:{port}"}})
    gateway.admin = port
    wait_until(lambda: is_listening(port, gateway.pid), "the admin server listens")
    assert "seconds" not in status(gateway)["listeners"][0]["backends"][0], "nobody has tried it"
    with Client(gateway.port()) as client:
        assert client.line().startswith(b"421 4.3.2")
    backend = status(gateway)["listeners"][0]["backends"][0]
    assert not backend["up"] and backend["seconds"] < 600
    assert "down" in get(port, "/status")[1]


def test_reloads_and_restarts_show_and_outlive_the_gateway(gateway):
    assert status(gateway)["events"] == [] and "drained" not in status(gateway)
    gateway.reload(hostname="other.example.org")
    gateway.reload("the configuration is not taken over", workers=3)
    os.kill(gateway.serving, signal.SIGKILL)
    gateway.wait_for_log("there is a gateway again")
    wait_until(lambda: is_listening(gateway.admin), "the admin server listens")
    said = status(gateway)
    kinds = [each["kind"] for each in said["events"]]
    assert kinds == ["gateway lost", "reload refused", "reloaded"], said["events"]
    lost, refused, reloaded = (each["text"] for each in said["events"])
    assert "SIGKILL" in lost or "signal 9" in lost, lost
    assert "workers: to change that needs a restart" in refused and reloaded == "hostname"
    assert abs(said["events"][0]["time"] - said["now"]) < PATIENCE
    page = get(gateway.admin, "/status")[1]
    assert "Reloads and restarts" in page and "gateway lost" in page
    assert said["sandbox"]["mode"] == "on"
    for number in range(20):
        gateway.reload(hostname=f"host{number}.example.org", workers=2)
    wait_until(lambda: len(status(gateway)["events"]) == 16, "no more than the last ones are kept")


def test_why_a_certificate_is_not_served_shows(start_gateway, scripted_server, certificates, folder):
    pair = {"chain": f"{folder}/chain.pem", "key": f"{folder}/key.pem"}
    shutil.copy(certificates.ecdsa.chain, pair["chain"])
    shutil.copy(certificates.ecdsa.key, pair["key"])
    port = free_port()
    gateway = start_gateway(
        {"address": scripted_server().address},
        top={"admin": {"listen": f"127.0.0.1:{port}"}, "certificates": {"mx": [pair]}},
    )
    gateway.admin = port
    wait_until(lambda: is_listening(port), "the admin server listens")
    assert not status(gateway)["certificates"][0]["differs_from_disk"]
    shutil.copy(certificates.rsa.key, pair["key"])
    wait_until(lambda: "why" in status(gateway)["certificates"][0], "it is told")
    assert status(gateway)["certificates"][0]["why"].startswith("mismatch: ")
    shutil.copy(certificates.rsa.chain, pair["chain"])
    wait_until(lambda: status(gateway)["events"], "both are taken over")
    assert not status(gateway)["certificates"][0]["differs_from_disk"]
    assert status(gateway)["events"][0]["kind"] == "file read again"


def test_who_drains_shows(gateway):
    gateway.reload(drain={"spread": "0s"})
    with Client(gateway.port()) as busy, Client(gateway.port()) as idle:
        for client in (busy, idle):
            client.greeted()
        busy.expect(250, "MAIL FROM:<a@example.net>")
        os.kill(gateway.pid, signal.SIGTERM)
        assert idle.rest().startswith(b"421 4.3.2")
        idle.socket.close()
        wait_until(lambda: status(gateway).get("drained", {}).get("told") == 1, "one has been told")
        assert status(gateway)["drained"] == {"by_themselves": 0, "told": 1, "cut": 0}
        busy.expect(250, "RSET")
    assert gateway.daemon.process.wait(PATIENCE) == 0
    gateway.daemon = None


def test_the_command_says_the_same(start_gateway, scripted_server, folder):
    """By the control socket, and without an admin server."""
    server = scripted_server(Obedient())
    gateway = start_gateway({"address": server.address}, top={"control": f"{folder}/control"})
    with secure_client(gateway.port(), "starttls", version="1.2") as client:
        client.expect(221, "QUIT")
        client.rest()

    def asked(*more):
        return subprocess.run(
            [gateway.binary, "status", "--config", gateway.configuration, *more], capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip

    done = asked("--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["ready"] and said["listeners"][0]["tls"][0]["versions"] == {"TLSv1.2": 1}
    done = asked()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("gateway.example.org: ready\n") and "TLSv1.2 1" in done.stdout
    gateway.stop()
    done = asked()
    assert (done.returncode, done.stdout) == (1, "") and "nobody answers at" in done.stderr


# --- in a browser


@pytest.fixture(scope="session")
def chromium(build_folder):
    """Runs one without a screen: chromium(*arguments) gives what it printed, and what pages wrote to the console."""
    unpacked = unpack(build_folder, "chromium", ["chromium-headless-shell", "chromium-common", "fonts-dejavu-core"])
    program = unpacked.path("usr/lib/chromium/chromium-headless-shell")
    if not os.path.exists(program):
        pytest.skip("this release's Chromium is another one")

    environment = unpacked.environment()
    environment["LD_LIBRARY_PATH"] += f":{unpacked.path('usr/lib/x86_64-linux-gnu/pulseaudio')}"

    def run(folder, *arguments):
        environment["HOME"] = str(folder)
        # Not those of the machine, which may have none.
        environment["FONTCONFIG_FILE"] = f"{folder}/fonts.conf"
        with open(environment["FONTCONFIG_FILE"], "w", encoding="utf-8") as fonts:
            fonts.write(f"""<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>{os.path.abspath(unpacked.path("usr/share/fonts"))}</dir><cachedir>{folder}/fonts</cachedir></fontconfig>""")
        return subprocess.run(
            [
                program, "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                f"--user-data-dir={folder}/chromium", "--enable-logging=stderr", "--log-level=0", "--timeout=60000", *arguments,
            ],
            env=environment, capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip

    return run


def said_on_the_console(done):
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_in_a_browser_nothing_hostile_happens_and_it_refreshes_itself(gateway, chromium, folder):
    address = f"http://127.0.0.1:{gateway.admin}/status"
    done = chromium(folder, "--virtual-time-budget=12000", "--dump-dom", address)
    assert said_on_the_console(done) == []
    assert "<title>gateway.example.org" in done.stdout, done.stdout[:2000]
    assert "Refreshes itself every five seconds." in done.stdout
    assert "&lt;script&gt;document.title" in done.stdout and "<img" not in done.stdout
    # What its policy forbids would be said there: the page knows that it can be.
    hurt = f"{folder}/hurt.html"
    with open(hurt, "w", encoding="utf-8") as file:
        file.write(
            "<!doctype html><meta http-equiv=Content-Security-Policy content=\"default-src 'none'\"><script>1</script>"
        )
    assert said_on_the_console(chromium(folder, "--dump-dom", f"file://{hurt}"))


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_drawn(gateway, chromium, folder, width, scheme):
    """On a phone and a wide screen, in both schemes; the pictures stay in the test's folder."""
    gateway.reload(hostname="other.example.org")
    gateway.reload("the configuration is not taken over", workers=3, user="nobody")
    picture = f"{os.environ.get('POSTERN_PICTURES', folder)}/status-{width}-{scheme}.png"
    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    done = chromium(
        folder, *dark, f"--window-size={width},2400", f"--screenshot={picture}", f"http://127.0.0.1:{gateway.admin}/status"
    )
    assert said_on_the_console(done) == []
    assert os.path.getsize(picture) > 20_000
