"""Fixtures of the scenarios. POSTERN names the binary, POSTERN_BUILD a folder that is kept across runs."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import types

import pytest

from harness.certificates import Authority
from harness.exim import Exim
from harness.gateway import Gateway
from harness.mailfront import Mailfront
from harness.netns import folder_of_names
from harness.postfix import Postfix
from harness.scripted_server import ScriptedServer
from harness.sink import Sink

FULL = os.environ.get("POSTERN_SCENARIOS") == "full"

# What ./dev test runs again, by the names of files: with binaries of the sanitizers, where peers go away, misbehave and
# overlap, and where threads share what they know; and on another release of Debian, where that one's libraries and tools matter.
CHOSEN = {
    "address": """
        test_backends test_exec test_hostile test_lost_server test_plaintext_phase test_proxy_protocol test_real_servers
        test_rules test_stopping test_tls test_client_certificate test_policies test_relay test_remote_misbehaves
        test_resumption
    """,
    # Without programs behind `exec`: libuv closes their descriptors in a way that this sanitizer does not see.
    "thread": "test_backends test_concurrency test_policies test_resumption test_stopping test_tls",
    "brief": """
        test_commands test_exec test_manual test_policies test_reload test_rules test_sandbox test_service_manager test_stopping
        test_tls test_upgrade
    """,
}


def pytest_configure(config):
    config.addinivalue_line("markers", "full: heavy, runs only with POSTERN_SCENARIOS=full")
    config.addinivalue_line("markers", "brief: ./dev test brief runs it")
    for kind, name in (("address", "Address and Undefined"), ("thread", "Thread")):
        config.addinivalue_line("markers", f"{kind}: ./dev test runs it again with a binary of the {name} sanitizer")
    if not os.access(os.environ.get("POSTERN", ""), os.X_OK):
        raise pytest.UsageError("set POSTERN to the path of the postern binary")
    # A run that is ended takes down what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # not one of several processes that share the work (pytest-xdist)
        stack = contextlib.ExitStack()
        stack.enter_context(folder_of_names())
        config.add_cleanup(stack.close)


def pytest_collection_modifyitems(items):
    for item in items:
        for kind, files in CHOSEN.items():
            if item.path.stem in files.split():
                item.add_marker(kind)
        if not FULL and item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="only with POSTERN_SCENARIOS=full"))
    # Where several processes share the files, the longest ones are not to be left over for the end.
    items.sort(key=lambda item: item.path.parent.name != "outbound")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.has_failed = True


def _new_folder():
    # Not pytest's tmp_path: other users must get in, and the paths of sockets must be short.
    path = tempfile.mkdtemp(prefix="postern-", dir="/tmp")
    os.chmod(path, 0o755)
    return path


@pytest.fixture(scope="session")
def postern():
    return os.path.abspath(os.environ["POSTERN"])


@pytest.fixture(scope="session")
def honest_memory(postern):
    """Skips where a sanitizer keeps what was freed: memory then says nothing about the gateway."""
    with open(postern, "rb") as binary:
        content = binary.read()
    if b"__asan_init" in content or b"__tsan_init" in content:
        pytest.skip("a sanitizer build")


@pytest.fixture(scope="session")
def build_folder():
    path = os.path.abspath(os.environ.get("POSTERN_BUILD", "build"))
    os.makedirs(path, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def session_folder():
    path = _new_folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder():
    path = _new_folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def authority(session_folder):
    return Authority(f"{session_folder}/ca")


@pytest.fixture(scope="session")
def certificates(authority):
    """Pairs for mx.example.org in both key types, a wildcard, another name, an expired one, and a client's."""
    return types.SimpleNamespace(
        authority=authority,
        ecdsa=authority.issue("mx.example.org"),
        rsa=authority.issue("mx.example.org", "rsa"),
        wildcard=authority.issue("*.example.net"),
        other=authority.issue("other.example.com"),
        expired=authority.issue("expired.example.org", days=-1),
        client=authority.issue("client.example.com", client=True),
    )


@pytest.fixture
def gateways(request):
    """A list. Every gateway in it is stopped at the end of the test and must end with 0."""
    started = []
    yield started
    failed = getattr(request.node, "has_failed", False)
    for gateway in started:
        if failed:
            print(f"--- log of the gateway\n{gateway.log()[-8000:]}")
    for gateway in started:
        try:
            gateway.stop()
        finally:
            gateway.kill()


@pytest.fixture
def start_gateway(postern, folder, certificates, gateways):
    """start_gateway(backend, **listener settings) or start_gateway(inbound={...}, **top-level settings).

    The certificate `mx` (ECDSA) is there unless `certificates` says otherwise. See `gateways` for its end.
    """

    def start(backend=None, inbound=None, top=None, **listener):
        settings = {"certificates": {"mx": [certificates.ecdsa.as_setting()]}, **(top or {})}
        if inbound is None:
            inbound = {"mx": {"certificates": ["mx"], "allow_open_relay_risk": True, "backend": backend, **listener}}
        gateway = Gateway(postern, f"{folder}/gateway{len(gateways)}", inbound, **settings)
        gateway.start()
        gateways.append(gateway)
        return gateway

    return start


@pytest.fixture
def closed_tree(folder, honest_memory, monkeypatch):
    """The folder that gateways started from now on can open something in; nowhere else can they, by Landlock, from
    their first instruction on. Their log says so.
    """
    kept, library = f"{folder}/state", f"{folder}/closed_tree.so"
    os.mkdir(kept)
    os.chmod(kept, 0o777)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", "closed_tree.c")
    compiler = shutil.which("cc") or shutil.which("c99") or pytest.skip("no C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", f'-DFOLDER="{kept}"', "-o", library, source], check=True)
    if ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1) < 1:  # landlock_create_ruleset, its version
        pytest.skip("this kernel has no Landlock")
    monkeypatch.setenv("LD_PRELOAD", library)
    return kept


@pytest.fixture
def scripted_server():
    """scripted_server(script, **options): closed at the end of the test; a mistake in a script fails it."""
    servers = []

    def start(script=None, **options):
        servers.append(ScriptedServer(script, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def sink(postern, folder):
    server = Sink(postern, f"{folder}/sink")
    yield server
    server.stop()


def _needs_root():
    if os.geteuid() != 0:
        pytest.skip("needs root: a mail server changes users")


@pytest.fixture(scope="session")
def postfix(build_folder, session_folder, authority):
    _needs_root()
    server = Postfix(build_folder, f"{session_folder}/postfix", authority)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def exim(build_folder, session_folder, authority):
    _needs_root()
    server = Exim(build_folder, f"{session_folder}/exim", authority)
    yield server
    server.stop()


@pytest.fixture
def mailfront(build_folder, folder):
    return Mailfront(build_folder, f"{folder}/mailfront")
