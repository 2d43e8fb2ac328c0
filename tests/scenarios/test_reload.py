"""SIGHUP: the configuration is read anew, and taken over as a whole or not at all; whoever is there notices nothing."""

import os
import re
import signal
import threading

import pytest

from harness.client import Client, secure_client
from harness.daemon import open_descriptors
from harness.gateway import write_configuration
from harness.messages import message
from harness.ports import free_port, is_listening, wait_until


def listener(server, **settings):
    return {"mode": "none", "allow_open_relay_risk": True, "backend": {"address": server.address}, **settings}


def reload(gateway, expected, **settings):
    """Writes the file anew with these settings, and waits for the word that the log has for it."""
    before = len(re.findall(expected, gateway.log()))
    gateway.settings.update(settings)
    write_configuration(gateway.configuration, gateway.settings)
    os.kill(gateway.pid, signal.SIGHUP)
    wait_until(lambda: len(re.findall(expected, gateway.log())) > before, f"the log says {expected}")


TAKEN_OVER = "the configuration was taken over"
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
        reload(gateway, TAKEN_OVER, inbound={
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
        reload(gateway, REFUSED, **wrong)
        gateway.settings.update(was)
        assert greeting(gateway.port("kept")) and greeting(gateway.port("goes"))
    assert open_descriptors(gateway.pid) == before


def test_what_needs_a_restart_says_so(gateway):
    reload(gateway, REFUSED, workers=3, user="nobody")
    assert 'reason="workers, user: to change that needs a restart"' in gateway.log()
    assert greeting(gateway.port("kept"))


def test_level_and_format_of_the_log_change_in_both_processes(gateway):
    reload(gateway, TAKEN_OVER, log={"level": "info", "format": "json"})
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
    reload(gateway, TAKEN_OVER, certificates={"mx": [certificates.rsa.as_setting()]})
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
            reload(gateway, TAKEN_OVER, inbound=some, hostname=f"host{number}.example.org")
    finally:
        enough.set()
        for sender in senders:
            sender.join()
    assert failures == []
    reload(gateway, TAKEN_OVER, inbound={"kept": inbound["kept"]}, hostname="last.example.org")
    wait_until(lambda: open_descriptors(gateway.serving) <= before[1], "no descriptor is left open")
    assert open_descriptors(gateway.pid) <= before[0]
