"""`sandbox`: what the gateway can do once it serves, tried by a library that is preloaded into it."""

import os
import shutil
import subprocess

import pytest

from harness.client import secure_client
from harness.daemon import facts_of
from harness.messages import message, new_token
from harness.ports import free_port, is_listening, wait_until
from harness.prometheus import get
from test_metrics import value

WANTED = r"inside postern-gatewa\w*: (.*)"


@pytest.fixture
def inside(folder, honest_memory, monkeypatch):
    """Preloads what tries, into all that is started from now on."""
    compiler = shutil.which("cc") or shutil.which("c99") or pytest.skip("no C compiler")
    library = f"{folder}/inside.so"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", "inside.c")
    own = f'-DOWN="postern-inside-{os.getpid()}"'
    subprocess.run([compiler, "-shared", "-fPIC", own, "-o", library, source, "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", library)


def test_the_gateway_can_do_nothing_of_what_it_need_not(inside, start_gateway, sink):
    gateway = start_gateway({"address": sink.address}, greeting="gateway")
    said = gateway.wait_for_log(WANTED)[1]
    denied = "Permission denied"  # by Landlock
    none = "Operation not permitted"  # by seccomp
    assert said == f"passwd={denied} write={denied} udp={none} fork={none} exec={none}"
    token = new_token()
    with secure_client(gateway.port(), "starttls") as client:
        client.send_message("a@example.net", ["b@example.org"], message(token=token))
        client.quit()
    assert sink.maildir.wait_for(token.encode())


@pytest.mark.parametrize("mode", ["log", "off"])
def test_a_sandbox_that_is_not_on_refuses_nothing(inside, start_gateway, scripted_server, mode):
    gateway = start_gateway({"address": scripted_server().address}, top={"sandbox": mode})
    assert gateway.wait_for_log(WANTED)[1] == "passwd=yes write=yes udp=yes fork=yes exec=untried"
    assert facts_of(gateway.serving)["Seccomp"] == ("2" if mode == "log" else "0")
    assert gateway.log().count("the sandbox refuses nothing") == (1 if mode == "log" else 0)


@pytest.mark.parametrize("mode", ["on", "off"])
def test_the_metrics_say_what_holds(start_gateway, scripted_server, honest_memory, mode):
    port = free_port()
    start_gateway({"address": scripted_server().address}, top={"sandbox": mode, "admin": {"listen": f"127.0.0.1:{port}"}})
    wait_until(lambda: is_listening(port), "the admin server listens")
    text = get(port)[1]
    for kind in ("landlock", "seccomp"):
        assert value(text, "postern_sandbox_active", kind=kind) == (1 if mode == "on" else 0)
