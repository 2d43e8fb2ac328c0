"""The commands besides run: check, sink, demo, --version; and run where it must not start."""

import os
import re
import subprocess

import pytest

from harness.client import Client
from harness.daemon import Daemon
from harness.gateway import write_configuration
from harness.messages import message
from harness.ports import free_port, wait_until


def command(*argv, timeout=90, env=None):
    return subprocess.run(
        [str(word) for word in argv], capture_output=True, text=True, timeout=timeout, check=False, env=env
    )


def configuration(folder, certificates, **listener):
    """A configuration without mistakes, unless `listener` brings some; None takes a key away."""
    backend = {"address": "127.0.0.1:2525"}
    settings = {
        "certificates": {"mx": [certificates.ecdsa.as_setting()]},
        "inbound": {
            "mx": {
                "listen": [f"127.0.0.1:{free_port()}"],
                "certificates": ["mx"],
                "recipients": {"allow_domains": ["example.org"]},
                "backend": backend,
                **listener,
            }
        },
    }
    mx = settings["inbound"]["mx"]
    settings["inbound"]["mx"] = {key: value for key, value in mx.items() if value is not None}
    return write_configuration(f"{folder}/postern.yaml", settings)


def test_check_finds_nothing_wrong(postern, folder, certificates):
    done = command(postern, "check", "--config", configuration(folder, certificates))
    assert done.returncode == 0, done.stderr + done.stdout


def test_check_shows_every_mistake_with_its_place(postern, folder):
    path = f"{folder}/wrong.yaml"
    with open(path, "w", encoding="ascii") as file:
        file.write(
            "worker: 2\n"
            "inbound:\n"
            "  mx:\n"
            '    listen: ["127.0.0.1:99999"]\n'
            "    mode: startls\n"
            "    timeouts: { command: 5 }\n"
            "    backend: { adress: 127.0.0.1:25 }\n"
        )
    done = command(postern, "check", "--config", path)
    output = done.stderr + done.stdout
    assert done.returncode == 1
    for place in ("1:1", "4:14", "5:11", "6:26", "7:16"):
        assert f"{path}:{place}: error: " in output, output
    assert "workers" in output and "starttls" in output and "address" in output


@pytest.mark.parametrize("verb", ["check", "run"])
def test_an_open_relay_is_refused_with_an_explanation(postern, folder, certificates, verb):
    done = command(postern, verb, "--config", configuration(folder, certificates, recipients=None))
    assert done.returncode == 1
    assert "allow_open_relay_risk" in done.stderr + done.stdout


@pytest.mark.parametrize(
    "safe",
    [
        {"backend": {"address": "127.0.0.1:2525", "client_address": "xclient"}},
        {"backend": {"exec": ["/bin/cat"]}},
        {"allow_open_relay_risk": True},
    ],
    ids=["the server is told the client", "exec", "the operator says so"],
)
def test_no_open_relay(postern, folder, certificates, safe):
    done = command(postern, "check", "--config", configuration(folder, certificates, recipients=None, **safe))
    assert done.returncode == 0, done.stderr + done.stdout


def test_a_key_that_does_not_belong_to_its_chain(postern, folder, certificates):
    settings = {
        "certificates": {"mx": [{"chain": certificates.ecdsa.chain, "key": certificates.other.key}]},
        "inbound": {
            "mx": {
                "listen": [f"127.0.0.1:{free_port()}"],
                "certificates": ["mx"],
                "allow_open_relay_risk": True,
                "backend": {"address": "127.0.0.1:2525"},
            }
        },
    }
    path = write_configuration(f"{folder}/postern.yaml", settings)
    for verb in ("check", "run"):
        done = command(postern, verb, "--config", path)
        assert done.returncode == 1 and "does not belong" in done.stderr + done.stdout, done


def test_run_says_which_port_it_cannot_have(postern, folder, certificates, scripted_server):
    taken = scripted_server().port
    done = command(
        postern, "run", "--config", configuration(folder, certificates, listen=[f"127.0.0.1:{taken}"])
    )
    assert done.returncode == 1
    assert str(taken) in done.stderr


@pytest.mark.parametrize("argv", [[], ["frobnicate"], ["run"], ["check"], ["run", "--config"], ["check", "--what"]])
def test_wrong_usage(postern, argv):
    done = command(postern, *argv)
    assert done.returncode == 2
    assert "--help" in done.stderr + done.stdout or "sage" in done.stderr + done.stdout


@pytest.mark.parametrize(
    "argv, meant",
    [
        (["chek"], "'check'"),
        (["--config", "x.yaml", "run"], "behind the command"),
        (["check", "x.yaml"], "'--config x.yaml'"),
        (["run", "x.yaml"], "'--config x.yaml'"),
        (["run", "--confg", "x.yaml"], "'--config'"),
        (["help", "rnu"], "'run'"),
        (["probe", "example.org", "--jason"], "'--json'"),
    ],
)
def test_what_was_meant_is_said(postern, argv, meant):
    done = command(postern, *argv)
    assert done.returncode == 2
    assert meant in done.stderr + done.stdout, done


def test_help(postern):
    for argv in (["help"], ["--help"]):
        done = command(postern, *argv)
        assert done.returncode == 0 and "check" in done.stdout and not done.stderr, done
    for argv in (["help", "check"], ["check", "--help"]):
        done = command(postern, *argv)
        assert done.returncode == 0 and "postern check" in done.stdout and "--print-reference" in done.stdout, done


def test_a_file_that_is_not_there(postern, folder):
    for verb in ("check", "run"):
        done = command(postern, verb, "--config", f"{folder}/absent.yaml")
        assert done.returncode == 1 and "absent.yaml" in done.stderr + done.stdout


@pytest.mark.parametrize("argv", [["--version"], ["version"]])
def test_version(postern, argv):
    done = command(postern, *argv)
    assert done.returncode == 0
    assert "X25519MLKEM768" in done.stdout
    for name in ("BoringSSL", "libuv", "libyaml", "jemalloc"):
        assert name.lower() in done.stdout.lower(), done.stdout


def test_no_openssl_is_linked(postern):
    linked = command("ldd", postern).stdout
    assert "libuv" in linked
    for line in linked.splitlines():
        name = line.split()[0]
        assert not (name.startswith(("libssl", "libcrypto")) and "android" not in line and "boringssl" not in line.lower()), line


def test_variables_of_the_environment(postern, folder, certificates):
    path = configuration(folder, certificates, backend={"address": "${BACKEND}:${BACKEND_PORT:-2525}"})
    assert command(postern, "check", "--config", path, env={**os.environ, "BACKEND": "127.0.0.1"}).returncode == 0
    without = {name: value for name, value in os.environ.items() if name != "BACKEND"}
    done = command(postern, "check", "--config", path, env=without)
    assert done.returncode == 1 and "BACKEND" in done.stderr + done.stdout


def with_text(path, change):
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(change(content))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"\xef\xbb\xbfworkers: 2\nhostname: mx.example.org\n" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
    ],
    ids=["a byte order mark", "a mark and a first key", "CRLF"],
)
def test_what_editors_do_to_a_configuration_is_harmless(postern, folder, certificates, change):
    blocks = (
        f"certificates: {{ mx: [{{ chain: {certificates.ecdsa.chain}, key: {certificates.ecdsa.key} }}] }}\n"
        "inbound:\n  mx:\n    listen: ['127.0.0.1:0']\n    certificates: [mx]\n"
        "    recipients: { allow_domains: [example.org] }\n    backend: { address: '127.0.0.1:25' }\n"
        "    ehlo: { add: [], hide: }\n    limits:\n"
    )
    path = f"{folder}/edited.yaml"
    with open(path, "wb") as file:
        file.write(change(blocks.encode()))
    done = command(postern, "check", "--config", path)
    assert done.returncode == 0 and "ok" in done.stdout, done


def test_a_configuration_in_utf16_is_called_that(postern, folder, certificates):
    path = with_text(configuration(folder, certificates), lambda text: text.decode().encode("utf-16"))
    done = command(postern, "check", "--config", path)
    assert done.returncode == 1 and "UTF-16" in done.stderr


def test_check_warns_of_what_this_machine_lacks(postern, folder, certificates):
    script = f"{folder}/program"
    with open(script, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")
    for exec_, words in ([[script], "may not be run"], [["/no/such/program"], "is not there"]):
        path = configuration(folder, certificates, recipients=None, backend={"exec": exec_})
        done = command(postern, "check", "--config", path)
        assert done.returncode == 0 and "warning: inbound.mx.backend.exec[0]: " in done.stderr, done
        assert words in done.stderr
    path = configuration(folder, certificates, backend={"address": "no-such-host.invalid:25"})
    done = command(postern, "check", "--config", path)
    assert done.returncode == 0 and "'no-such-host.invalid' has no address now" in done.stderr, done


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_check_warns_of_staying_root(postern, folder, certificates):
    path = configuration(folder, certificates)
    assert "stays root" in command(postern, "check", "--config", path).stderr
    with_user = with_text(path, lambda text: text.replace(b"{", b'{ "user": "nobody",', 1))
    done = command(postern, "check", "--config", with_user)
    assert done.returncode == 0 and "root" not in done.stderr, done


def test_what_the_library_lacks_of_the_defaults_is_no_matter_of_a_configuration(postern, folder, certificates):
    path = configuration(folder, certificates)
    assert "MLKEM" not in command(postern, "check", "--config", path).stderr
    written = configuration(folder, certificates, groups=["X448", "X25519"])
    assert "X448" in command(postern, "check", "--config", written).stderr


def test_the_sink_alone(sink):
    with Client(sink.port) as client:
        keywords = client.greeted().keywords()
        assert "STARTTLS" not in keywords and "PIPELINING" in keywords
        client.send_message("a@example.net", ["b@example.org"], message(b".dot\r\n", "alone"))
        client.send_message_by_bdat("a@example.net", ["b@example.org"], message(b".dot\r\n", "by-bdat"), chunk=50)
        client.quit()
    assert sink.maildir.wait_for(b"alone").endswith((b"\r\n\r\n.dot\r\n", b"\n\n.dot\n"))
    assert sink.maildir.wait_for(b"by-bdat").endswith((b"\r\n\r\n.dot\r\n", b"\n\n.dot\n"))


def test_demo_once(postern, folder):
    done = command(postern, "demo", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "STARTTLS" in done.stdout


def test_what_the_demo_suggests_works(postern, folder):
    daemon = Daemon([postern, "demo"], f"{folder}/demo.log")
    daemon.wait_ready(lambda: "Ctrl-C" in daemon.output(), "it stays up")
    shown = re.search(r"^ *(openssl s_client .*-starttls smtp.*)$", daemon.output(), re.MULTILINE)
    client = Daemon(shown[1].split(), f"{folder}/client.log", stdin=subprocess.PIPE)
    for said, answer in (
        ("EHLO me", "250 "),
        ("MAIL FROM:<me@demo.example>", "250 2.1.0"),
        ("RCPT TO:<you@demo.example>", "250 2.1.5"),
        ("QUIT", "221 "),
    ):
        client.process.stdin.write(f"{said}\n".encode())
        client.process.stdin.flush()
        wait_until(lambda answer=answer: f"\n{answer}" in f"\n{client.output()}", f"{answer} after {said}")
    client.kill()
    assert daemon.terminate() == 0, daemon.output()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it drops to another user")
def test_root_is_given_up_after_binding(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, top={"user": "nobody"})
    with open(f"/proc/{gateway.serving}/status", encoding="ascii") as status:
        facts = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    assert set(facts["Uid"].split()) == {"65534"}
    assert "0" not in facts["Gid"].split() and facts["Groups"].split() in ([], ["65534"])
    assert int(facts["CapEff"], 16) == 0
    with Client(gateway.port()) as client:
        client.greeted()
