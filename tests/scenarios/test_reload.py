"""SIGHUP: the configuration is read anew, and taken over as a whole or not at all; whoever is there notices nothing."""

import contextlib
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest

from harness.client import Client, secure_client
from harness.daemon import open_descriptors, words_of
from harness.gateway import Gateway, write_configuration
from harness.messages import message
from harness.ports import PATIENCE, free_port, is_listening, wait_until
from harness.prometheus import get


def listener(server, **settings):
    given = {"mode": "none", "allow_open_relay_risk": True, **settings}
    return given if server is None else {"backend": {"address": server.address}, **given}


REFUSED = "the configuration is not taken over"


def greeting(port):
    with Client(port) as client:
        text = str(client.expect(220))
        client.quit()
    return text


@pytest.fixture
def server(scripted_server):
    return scripted_server()


@pytest.fixture
def gateway(start_gateway, server):
    return start_gateway(inbound={"kept": listener(server), "goes": listener(server)})


def test_listeners_come_stay_and_go(gateway, server):
    serving, kept, goes, comes = gateway.serving, gateway.port("kept"), gateway.port("goes"), free_port()
    inbound = gateway.settings["inbound"]
    with Client(goes) as client:
        client.greeted()
        gateway.reload(inbound={
            "kept": inbound["kept"], "comes": listener(server, listen=[f"127.0.0.1:{comes}"])})  # fmt: skip
        assert "changed=\"inbound.comes, inbound.goes\"" in gateway.log()
        wait_until(lambda: not is_listening(goes), "the one that goes is closed")
        assert is_listening(kept) and is_listening(comes)
        # A session goes on with what it began with.
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert greeting(kept) and greeting(comes)
    assert gateway.serving == serving
    # A gateway that begins now has what was taken over.
    os.kill(serving, signal.SIGKILL)
    gateway.wait_for_log("there is a gateway again")
    assert greeting(kept) and greeting(comes) and not is_listening(goes)


def test_what_is_wrong_changes_nothing(gateway, server):
    inbound = gateway.settings["inbound"]
    before = open_descriptors(gateway.pid)
    for wrong in (
        {"inbound": {"kept": {**inbound["kept"], "mode": "nonsense"}}},
        {"inbound": {"kept": {**inbound["kept"], "mode": "starttls", "certificates": ["mx"]}},
         "certificates": {"mx": [{"chain": "/no/such/chain", "key": "/no/such/key"}]}},
        {"inbound": {**inbound, "taken": listener(server, listen=[server.address])}},
    ):  # fmt: skip
        was = {key: gateway.settings[key] for key in wrong if key in gateway.settings}
        gateway.reload(REFUSED, **wrong)
        gateway.settings.update(was)
        assert greeting(gateway.port("kept")) and greeting(gateway.port("goes"))
    assert open_descriptors(gateway.pid) == before


def test_what_needs_a_restart_says_so(gateway):
    gateway.reload(REFUSED, workers=3, user="nobody")
    assert 'reason="workers, user: to change that needs a restart"' in gateway.log()
    assert greeting(gateway.port("kept"))


def test_level_and_format_of_the_log_change_in_both_processes(gateway):
    gateway.reload(log={"level": "info", "format": "json"})
    greeting(gateway.port("kept"))
    gateway.wait_for_log('{"time":.*"message":"session ended"')


def test_another_certificate_is_served_to_who_comes_and_its_key_is_known(start_gateway, server, certificates):
    gateway = start_gateway({"address": server.address})

    def name():
        with secure_client(gateway.port(), "starttls") as client:
            found = client.socket.getpeercert(binary_form=True)
            client.quit()
        return found

    before = name()
    gateway.reload(certificates={"mx": [certificates.rsa.as_setting()]})
    assert name() != before


def test_many_reloads_cost_nobody_a_session_and_leave_nothing_behind(start_gateway, server, honest_memory):
    gateway = start_gateway(inbound={"kept": listener(server), "other": listener(server)})
    inbound, enough, failures = dict(gateway.settings["inbound"]), threading.Event(), []

    def send():
        try:
            while not enough.is_set():
                with Client(gateway.port("kept")) as client:
                    client.greeted()
                    client.send_message("a@example.net", ["b@example.org"], message())
                    client.quit()
        except Exception as failure:  # whatever it is, it should not be
            failures.append(failure)

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    try:
        for number in range(12):
            if number == 4:
                before = open_descriptors(gateway.pid), open_descriptors(gateway.serving)
            some = inbound if number % 2 else {"kept": inbound["kept"]}
            gateway.reload(inbound=some, hostname=f"host{number}.example.org")
    finally:
        enough.set()
        for sender in senders:
            sender.join()
    assert failures == []
    gateway.reload(inbound={"kept": inbound["kept"]}, hostname="last.example.org")
    wait_until(lambda: open_descriptors(gateway.serving) <= before[1], "no descriptor is left open")
    assert open_descriptors(gateway.pid) <= before[0]


def test_a_gateway_that_dies_in_the_middle_is_followed_by_one_with_what_was_there(gateway):
    pid = gateway.serving
    os.kill(pid, signal.SIGSTOP)
    gateway.reload("reloading", hostname="other.example.org")
    gateway.reload("reloading")  # another one, behind it
    os.kill(pid, signal.SIGKILL)
    gateway.wait_for_log('is not taken over.* reason="the gateway was lost before it served that"')
    gateway.wait_for_log("the configuration was taken over changed=hostname")  # the second one
    wait_until(lambda: gateway.serving not in (None, pid), "there is another gateway")
    assert greeting(gateway.port("kept")) and greeting(gateway.port("goes"))


def test_while_there_is_no_gateway_the_next_one_has_what_was_read(gateway):
    inbound = gateway.settings["inbound"]
    while "another_after_ms=1000" not in gateway.log():
        pid = gateway.serving
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    gateway.reload(inbound={"kept": inbound["kept"]})
    gateway.wait_for_log("changed=inbound.goes(.|\n)*there is a gateway again")
    assert greeting(gateway.port("kept")) and not is_listening(gateway.port("goes"))


def test_another_program_is_started_for_who_comes(start_gateway):
    probe = [sys.executable, os.path.join(os.path.dirname(__file__), "programs", "ucspi_probe.py")]
    gateway = start_gateway(inbound={"old": listener(None, backend={"exec": probe})})
    old = gateway.settings["inbound"]["old"]
    comes = free_port()
    with Client(gateway.port("old")) as client:
        client.greeted()
        gateway.reload(inbound={
            "old": {**old, "backend": {"exec": [*probe, "again"]}},
            "new": {**old, "listen": [f"127.0.0.1:{comes}"], "backend": {"exec": [*probe, "anew"]}}})  # fmt: skip
        for port, word in ((gateway.port("old"), "again"), (comes, "anew")):
            with Client(port) as other:
                other.greeted()
                assert word in [words_of(pid)[-1] for pid in gateway.programs]
                other.quit()
        client.expect(250, "NOOP")
        client.quit()


@pytest.fixture
def controlled(start_gateway, server, folder):
    return start_gateway(inbound={"kept": listener(server)}, top={"control": f"{folder}/control"})


def reloaded(gateway, configuration=None, **options):
    return subprocess.run([gateway.binary, "reload", "--config", configuration or gateway.configuration],
                          capture_output=True, text=True, timeout=PATIENCE, check=False, **options)  # fmt: skip


def test_the_command_waits_and_prints_what_changed(controlled, folder):
    assert stat.S_IMODE(os.stat(f"{folder}/control").st_mode) == 0o600
    controlled.change(hostname="other.example.org")
    done = reloaded(controlled)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "taken over: hostname"
    controlled.wait_for_log("the configuration was taken over")
    assert reloaded(controlled).stdout.splitlines()[-1] == "taken over; nothing is another than before"


def test_the_command_prints_every_mistake(controlled):
    kept = controlled.settings["inbound"]["kept"]
    controlled.change(hostname="no name at all", inbound={"kept": {**kept, "mode": "nonsense"}})
    done = reloaded(controlled)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[-1] == "not taken over: it has mistakes"
    for option in ("hostname", "inbound.kept.mode"):
        assert any(re.search(rf"postern.yaml:\d+:\d+: error: {option}: ", line) for line in lines), option
    assert greeting(controlled.port("kept"))


def test_where_nobody_is_the_command_says_so(controlled, folder):
    elsewhere = write_configuration(f"{folder}/other.yaml", {**controlled.settings, "control": f"{folder}/nobody"})
    done = reloaded(controlled, elsewhere)
    assert done.returncode == 1 and "nobody answers at" in done.stderr
    without = {key: value for key, value in controlled.settings.items() if key != "control"}
    done = reloaded(controlled, write_configuration(f"{folder}/without.yaml", without))
    assert done.returncode == 1 and "has no control" in done.stderr
    assert subprocess.run([controlled.binary, "reload"], capture_output=True, check=False).returncode == 2


def test_a_socket_that_is_left_over_is_replaced_and_one_that_is_not_is_a_mistake(controlled, folder):
    other = Gateway(controlled.binary, f"{folder}/other", controlled.settings["inbound"], control=f"{folder}/control",
                    certificates={})  # fmt: skip
    done = subprocess.run([other.binary, "run", "--config", other.configuration],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)  # fmt: skip
    assert done.returncode == 1 and f"cannot listen on unix:{folder}/control: Address already in use" in done.stderr
    controlled.kill()
    controlled.start()
    # The gateway that was left over may listen yet, when the new one does not.
    wait_until(lambda: reloaded(controlled).returncode == 0, "the new one answers")


def test_strangers_at_the_control_socket_are_told_little_and_cost_little(controlled, folder):
    callers = []
    for _ in range(12):  # more than are heard
        callers.append(socket.socket(socket.AF_UNIX))
        callers[-1].settimeout(PATIENCE)
        callers[-1].connect(f"{folder}/control")
    for caller in callers:  # some at once, the others when they have said nothing for five seconds
        assert caller.recv(1) == b""
        caller.close()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{folder}/control")
        caller.sendall(b"nonsense\n")
        assert caller.makefile().read() == "refused\nthere are reload and status\n"
    assert reloaded(controlled).returncode == 0


def test_the_admin_server_moves_and_goes(start_gateway, server):
    first, second = free_port(), free_port()
    gateway = start_gateway(inbound={"kept": listener(server)}, top={"admin": {"listen": f"127.0.0.1:{first}"}})

    def ready(port):
        return get(port, "/readyz")[0] == 200

    wait_until(lambda: is_listening(first), "the admin server listens")
    assert ready(first)
    gateway.reload(admin={"listen": f"127.0.0.1:{second}"})
    wait_until(lambda: not is_listening(first), "the first address is free")
    wait_until(lambda: is_listening(second), "it listens elsewhere")
    assert ready(second)
    gateway.reload(admin={})
    wait_until(lambda: not is_listening(second), "there is no admin server")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the folder is another user's")
def test_sockets_with_paths_are_made_in_a_folder_of_the_user(start_gateway, server, folder):
    os.mkdir(f"{folder}/run")
    os.chown(f"{folder}/run", pwd.getpwnam("nobody").pw_uid, -1)
    paths = {"admin": {"listen": f"unix:{folder}/run/admin"}, "control": f"{folder}/run/control"}
    gateway = start_gateway(inbound={"kept": listener(server)}, top={"user": "nobody", **paths})
    assert reloaded(gateway).returncode == 0
    assert os.stat(f"{folder}/run/control").st_uid == 0
