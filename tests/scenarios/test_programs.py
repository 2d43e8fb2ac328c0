"""Programs behind `exec`, seen from the machine: who starts them, as whom, and who reaps what they leave."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from harness.client import Client
from harness.daemon import children_of, facts_of
from harness.gateway import Gateway
from harness.ports import PATIENCE, wait_until

PROBE = [sys.executable, os.path.join(os.path.dirname(__file__), "programs", "ucspi_probe.py")]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it starts programs as another user")


class Before:
    """Runs the gateway behind a command: where Gateway is given a namespace."""

    def __init__(self, *words):
        self.words = words

    def command(self, *argv):
        return [*self.words, *argv]


def ask(client, what):
    return json.loads(client.expect(250, f"VRFY {what}").text)


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def parent_of(pid):
    return int(facts_of(pid)["PPid"])


def zombies_of(pid):
    return [child for child in children_of(pid) if facts_of(child).get("State", "").startswith("Z")]


def script(folder, text):
    """What a greeting tells: a program that greets with what `text` writes, and says 250 to everything."""
    path = f"{folder}/program.sh"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"printf '220 %s\\r\\n' \"$({text})\"\n")
        file.write("while read -r line; do printf '250 ok\\r\\n'; done\n")
    return ["/bin/sh", path]


def greeting(gateway):
    with Client(gateway.port()) as client:
        return client.expect(220).text


def test_the_keeper_starts_them_and_the_gateway_can_gain_nothing(start_gateway):
    gateway = start_gateway({"exec": PROBE})
    with Client(gateway.port()) as client:
        client.expect(220)
        pid = ask(client, "identity")["pid"]
        assert parent_of(pid) == gateway.pid and children_of(gateway.serving) == []
        assert facts_of(gateway.serving)["NoNewPrivs"] == "1"
        assert facts_of(pid)["NoNewPrivs"] == facts_of(gateway.pid)["NoNewPrivs"]


def test_the_environment_is_exactly_what_is_documented(start_gateway, monkeypatch):
    monkeypatch.setenv("A_SECRET_OF_THE_OPERATOR", "secret")
    gateway = start_gateway({"exec": PROBE})
    with Client(gateway.port()) as client:
        client.expect(220)
        found = set(ask(client, "environment")) - {"LC_CTYPE"}  # which Python sets itself
    assert found == {"PATH", "PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST", "TCPREMOTEIP", "TCPREMOTEPORT"}


@needs_root
def test_a_setuid_program_behind_the_program(start_gateway, folder):
    """qmail-smtpd runs as one user and queues with qmail-queue, which is another's."""
    helper = shutil.copy("/usr/bin/id", f"{folder}/helper")
    os.chown(helper, 2, 2)
    os.chmod(helper, 0o4755)
    as_nobody = subprocess.run([helper, "-u"], user="nobody", capture_output=True, text=True, check=True)
    if as_nobody.stdout.strip() != "2":
        pytest.skip(f"needs a file system without nosuid below {folder}")
    gateway = start_gateway({"exec": script(folder, f"echo $({helper} -ru) $({helper} -u)")}, top={"user": "nobody"})
    assert greeting(gateway).split() == ["65534", "2"]


@needs_root
def test_a_program_is_the_user_with_all_its_groups_and_nothing_else_of_ours(start_gateway, folder):
    groups = f"{folder}/group"
    with open(groups, "w", encoding="utf-8") as file:
        file.write(pathlib.Path("/etc/group").read_text("utf-8") + "postern-one:x:4711:nobody\npostern-two:x:4712:nobody\n")
    command = 'mount --bind "$0" /etc/group && exec "$@"'
    before = Before("unshare", "--mount", "sh", "-c", command, groups)
    gateway = start_gateway({"exec": PROBE}, top={"user": "nobody", "namespace": before})
    with Client(gateway.port()) as client:
        client.expect(220)
        facts = facts_of(ask(client, "identity")["pid"])
    assert set(facts["Uid"].split()) == {"65534"} and set(facts["Gid"].split()) == {"65534"}
    assert set(facts["Groups"].split()) == {"65534", "4711", "4712"}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(facts[kind], 16) == 0, kind


def test_no_zombie_stays(start_gateway):
    gateway = start_gateway({"exec": ["/bin/sh", "-c", "printf '220 hello\\r\\n'; read -r line; printf '221 bye\\r\\n'"]})
    for _ in range(200):
        with Client(gateway.port()) as client:
            client.expect(220)
            client.quit()
    wait_until(lambda: gateway.programs == [], "all have ended, and are reaped")
    assert zombies_of(gateway.pid) == []


def test_what_a_program_leaves_behind_is_reaped(start_gateway):
    gateway = start_gateway({"exec": PROBE})
    with Client(gateway.port()) as client:
        client.expect(220)
        program = ask(client, "identity")["pid"]
        orphan = int(client.expect(250, "EXPN grandchild").text)
        client.quit()
    wait_until(lambda: not alive(program), "the program is gone")
    assert parent_of(orphan) == gateway.pid
    os.kill(orphan, signal.SIGKILL)
    wait_until(lambda: not alive(orphan), "what it left behind is reaped")


def test_programs_of_a_gateway_that_is_killed_end_and_the_next_one_starts_its_own(start_gateway):
    gateway = start_gateway({"exec": PROBE})
    killed = gateway.serving
    with Client(gateway.port()) as client, Client(gateway.port()) as deaf:
        client.expect(220)
        program = ask(client, "identity")["pid"]
        deaf.expect(220)
        hangs = ask(deaf, "identity")["pid"]
        deaf.expect(250, "EXPN forever")
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not alive(program), "the program has found the end of its input, and is reaped")
        wait_until(lambda: not alive(hangs), "the one that is deaf is killed")
    wait_until(lambda: gateway.serving not in (None, killed), "there is another gateway")
    with Client(gateway.port()) as client:
        client.expect(220)
        assert parent_of(ask(client, "identity")["pid"]) == gateway.pid


@pytest.mark.parametrize("argv", [["/bin/false"], ["/bin/true"]])
def test_a_program_that_ends_at_once(start_gateway, argv):
    gateway = start_gateway({"exec": argv})
    with Client(gateway.port()) as client:
        client.expect(421)
    wait_until(lambda: gateway.programs == [], "it is reaped")


def test_a_program_that_has_gone_since_the_start(start_gateway, folder):
    program = f"{folder}/program"
    with open(program, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nprintf '220 hello\\r\\n'; read -r line\n")
    os.chmod(program, 0o755)
    gateway = start_gateway({"exec": [program]})
    assert greeting(gateway) == "hello"
    os.remove(program)
    with Client(gateway.port()) as client:
        assert client.expect(421).text.startswith("4.3.2")
    gateway.wait_for_log(f"{program}: No such file or directory")


@needs_root
@pytest.mark.parametrize("user", [None, "nobody"])
def test_as_pid_1(postern, folder, user):
    """In a container without an init: everything works, and what loses its parent is reaped."""
    listener = {"mode": "none", "allow_open_relay_risk": True, "backend": {"exec": PROBE}}
    settings = {"namespace": Before("unshare", "--pid", "--fork", "--mount-proc"), **({"user": user} if user else {})}
    gateway = Gateway(postern, f"{folder}/gateway", {"mx": listener}, **settings)
    gateway.start()
    [first] = children_of(gateway.daemon.pid)
    try:
        assert facts_of(first)["NSpid"].split()[-1] == "1"
        with Client(gateway.port()) as client:
            client.expect(220)
            client.expect(250, "EXPN grandchild")
            client.quit()
        # The orphan, beside the gateway.
        orphan = wait_until(
            lambda: next((pid for pid in children_of(first) if facts_of(pid).get("Name") == "sleep"), None),
            "what the program left behind is ours",
        )
        os.kill(orphan, signal.SIGKILL)
        wait_until(lambda: not alive(orphan), "it is reaped")
        assert zombies_of(first) == []
        with Client(gateway.port()) as client:
            client.expect(220)
            os.kill(first, signal.SIGTERM)
            assert b"421 4.3.2" in client.rest()
        assert gateway.daemon.process.wait(PATIENCE) == 0, gateway.log()
    finally:
        gateway.kill()
        if alive(first):
            os.kill(first, signal.SIGKILL)
