"""README and docs/ are taken as they stand: every configuration passes `check`, every command and option is there, every
link leads somewhere, every warning of the log has an entry.
"""

import os
import pathlib
import re
import subprocess
import textwrap

import pytest

from harness.ports import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
KEY = re.compile(r"^([a-z_]+):", re.MULTILINE)

# Not Postern's, by a key at the left: compose, Kubernetes, Prometheus, Grafana.
FOREIGN = {"services", "scrape_configs", "datasources", "groups", "kind"}
TOP = """
    workers user hostname log admin control private_keys sandbox drain upgrade_grace buffer_limit certificates tls inbound
    outbound dns state_directory
""".split()
OUTBOUND = """
    route port relay interception source socket_mark allow_clients level dane mta_sts enforcement policies ca_file
    client_certificate
""".split()


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page, *languages):
    """(line number, text without its indentation) of the blocks in one of these languages."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if match[2] in languages:
            yield text.count("\n", 0, match.start()) + 1, textwrap.dedent(match[3])


def configurations():
    for page in PAGES:
        for line, text in blocks(page, "yaml"):
            if not FOREIGN & set(KEY.findall(text)):
                yield pytest.param(text, id=f"{name_of(page)}:{line}")


class Completion:
    """Makes a whole configuration of what a page shows: the rest of it, and files that are there."""

    def __init__(self, folder, certificates):
        secret, tickets = f"{folder}/secret", f"{folder}/tickets"
        for path, content in ((secret, "secret\n"), (tickets, "k" * 48)):
            with open(path, "w", encoding="ascii") as file:
                file.write(content)
        self.files = {
            "chain": certificates.ecdsa.chain,
            "key": certificates.ecdsa.key,
            "ca_file": certificates.authority.certificate,
            "password_file": secret,
            "token_file": secret,
            "key_file": tickets,
            "state_directory": folder,
            "control": f"{folder}/control",
        }

    def whole(self, text):
        keys = KEY.findall(text)
        assert keys, "no key at the left"
        if not set(keys) <= set(TOP):
            keys, text = self._within_a_listener(text, keys)
        if not {"inbound", "outbound"} & set(keys):
            text += "inbound:\n  mx:\n    listen: ['127.0.0.1:0']\n    mode: none\n"
            text += "    recipients: { allow_domains: [] }\n    backend: { address: '127.0.0.1:2525' }\n"
        names = sorted({name for found in re.findall(r"^ +certificates: \[([\w, ]+)\]", text, re.MULTILINE) for name in found.split(", ")})
        if names and "certificates" not in keys:
            text += "certificates:\n" + "".join(f"  {name}: [{{ chain: /x, key: /x }}]\n" for name in names)
        return self._with_files(text)

    @staticmethod
    def _within_a_listener(text, keys):
        direction, rest = "inbound", {"listen": f'["127.0.0.1:{free_port()}"]'}
        if set(keys) & set(OUTBOUND):
            direction = "outbound"
            rest["route"] = "mx"
        else:
            rest |= {"certificates": "[mx]", "backend": '{ address: "127.0.0.1:2525" }'}
            if "client_address" not in text and "exec" not in text:
                rest["recipients"] = "{ allow_domains: [example.org] }"
        text += "".join(f"{key}: {value}\n" for key, value in rest.items() if key not in keys)
        return [direction], f"{direction}:\n  mx:\n" + textwrap.indent(text, "    ")

    def _with_files(self, text):
        for key, path in self.files.items():
            text = re.sub(rf"(?<![\w-]){key}: *\"?/[^\s,}}\"]*\"?", f"{key}: {path}", text)
        # The user need not be there.
        return re.sub(r"^user: [\w-]+", "user: nobody", text, flags=re.MULTILINE)


@pytest.mark.parametrize("text", configurations())
def test_every_configuration_passes_check(postern, folder, certificates, text):
    path = f"{folder}/postern.yaml"
    whole = Completion(folder, certificates).whole(text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(whole)
    values = {name: "127.0.0.1:2525" for name in re.findall(r"\$\{(\w+)\}", whole)}
    done = subprocess.run(
        [postern, "check", "--config", path], capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, **values},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr}\n{whole}"


def commands():
    """The lines of the blocks that begin with `postern`, behind sudo and the like; those that go on are joined."""
    call = re.compile(r"^(?:ExecStart=\S*/|\$ |# |sudo )?(postern [^#\n]*)", re.MULTILINE)
    for page in PAGES:
        for line, text in blocks(page, "", "sh", "console", "ini"):
            for command in call.findall(text.replace("\\\n", " ")):
                yield pytest.param(command.strip(), id=f"{name_of(page)}:{line} {command.strip()[:40]}")


@pytest.mark.parametrize("command", commands())
def test_every_command_has_the_options_that_are_shown(postern, command):
    words = command.split()
    if words[1] in ("help", "version", "--version"):
        return
    done = subprocess.run([postern, "help", words[1]], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    for option in re.findall(r"(?<!\S)\[?(--[a-z-]+)", command):
        assert option in done.stdout, done.stdout


def anchors(page):
    """As GitHub makes them of headings."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower())
        found.add(plain.replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target}: there is no such file"
        if anchor:
            assert anchor in anchors(linked), f"{target}: there is no such heading"


def test_every_page_is_one_step_from_a_short_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").glob("*.*")):
        assert f"(docs/{page.name}" in text, f"README does not lead to docs/{page.name}"
    assert len(text.splitlines()) < 150


def lines_of_the_log():
    """What the program says with level warning or error: the literals in front of a line's fields, and who says them."""
    found = {}
    for source in sorted(ROOT.glob("proxy/**/*.cc")):
        text = source.read_text(encoding="utf-8")
        for match in re.finditer(r"log::(?:warning|error|write)\(", text):
            says = text[match.end() : text.find(");", match.end())].partition("{")[0]
            found |= {line: name_of(source) for line in re.findall(r'"([^"]+)"', says)}
    del found["session ended"]
    return found


def test_every_warning_has_an_entry_in_troubleshooting():
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").partition("## Lines of the log")[2]
    documented = {line for row in re.findall(r"^\| (`.*?) \| ", page, re.MULTILINE) for line in re.findall("`([^`]+)`", row)}
    said = lines_of_the_log()
    assert len(said) > 30
    missing = {line: source for line, source in said.items() if line not in documented}
    assert not missing, f"docs/troubleshooting.md lacks {missing}"
    assert not documented - set(said), "nothing says these"
