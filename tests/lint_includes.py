#!/usr/bin/env python3
"""Which folder may include which: style.md's directions, checked line by line.

proxy -> tls -> config, never back; and who opens no file. Prints every breach as FILE:LINE: sentence; exit status 1 if
there is one."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[>"]')

# The rooms of proxy/, floor by floor: a room may include those of the floors below its own, and itself.
FLOORS = [
    ["limits", "net", "process", "smtp", "wire"],
    ["dns", "observe", "stream"],
    ["init", "intercept", "policy", "programs", "resolver", "signing", "sink", "status"],
    ["runtime"],
    ["session", "keeper"],
    ["inbound", "outbound"],
    ["probe", "gateway"],
    ["commands"],
]

# Those that may include less than their floor allows; below tls and config, and beside them.
OURS = {
    "config": ["config/"],
    "tls": ["tls/", "config/"],
    "proxy": ["proxy/", "tls/", "config/"],
    "proxy/limits": ["proxy/limits/", "config/"],
    "proxy/smtp": ["proxy/smtp/", "config/", "tls/session_facts.h"],
    "proxy/wire": ["proxy/wire/", "config/", "tls/session_facts.h"],
    "proxy/net": ["proxy/net/", "config/"],
    "proxy/process": ["proxy/process/", "config/"],
    "proxy/dns": ["proxy/dns/", "proxy/net/", "config/"],
    "proxy/stream": ["proxy/stream/", "proxy/limits/", "proxy/net/", "proxy/wire/", "tls/", "config/"],
    "proxy/observe": ["proxy/observe/", "proxy/net/", "proxy/smtp/", "proxy/wire/", "config/"],
    "proxy/policy": ["proxy/policy/", "proxy/dns/", "proxy/net/", "proxy/wire/", "proxy/smtp/refusals.h", "tls/", "config/"],
    "proxy/init": ["proxy/init/", "proxy/net/address.h", "tls/", "config/"],
    "proxy/intercept": ["proxy/intercept/", "proxy/net/", "proxy/process/", "config/"],
    "proxy/programs": ["proxy/programs/", "proxy/net/", "proxy/process/", "config/"],
    "proxy/resolver": ["proxy/resolver/", "proxy/dns/", "proxy/net/", "proxy/process/", "config/"],
    "proxy/signing": ["proxy/signing/", "proxy/net/", "tls/", "config/"],
    "proxy/sink": ["proxy/sink/", "proxy/net/", "proxy/smtp/", "proxy/wire/", "proxy/observe/", "proxy/process/", "config/"],
}
for number, floor in enumerate(FLOORS):
    below = [f"proxy/{room}/" for lower in FLOORS[:number] for room in lower]
    for room in floor:
        OURS.setdefault(f"proxy/{room}", [f"proxy/{room}/", *below, "tls/", "config/"])

# One library, one place: header -> the folders and files that may include it.
LIBRARIES = [
    (re.compile(r"^openssl/"), ["tls/"]),
    (re.compile(r"^yaml\.h$"), ["config/yaml.cc"]),
    (re.compile(r"^unbound(-event)?\.h$"), ["proxy/dns/unbound_"]),
    (re.compile(r"^idn2\.h$"), ["proxy/dns/idna.cc"]),
    (re.compile(r"^uv\.h$"), ["proxy/net/", "proxy/observe/admin_server", "proxy/gateway/admin", "proxy/gateway/status_of", "proxy/process/", "proxy/sink/", "proxy/dns/unbound_"]),
    (re.compile(r"^spdlog/"), ["proxy/observe/log.cc"]),
    (re.compile(r"^prometheus/"), ["proxy/observe/exposition.cc"]),
    (re.compile(r"^http_parser\.h$"), ["proxy/wire/http"]),
    (re.compile(r"^seccomp\.h$"), ["proxy/process/sandbox_calls.cc"]),
    (re.compile(r"^CLI/"), ["proxy/main.cc"]),
]

# Where contents come from config::Files, or from whoever watches the files, and nothing is opened.
CLOSED = ["tls/", "proxy/smtp/", "proxy/wire/", "proxy/stream/", "proxy/runtime/runtime", "proxy/session/",
          "proxy/inbound/", "proxy/outbound/", "proxy/probe/", "proxy/gateway/gateway", "proxy/gateway/worker"]  # fmt: skip
OPENS = re.compile(r"\b(read_file|read_files|read_beginning|read_given_file|write_file|fopen|\w?fstream)\b|(?<!\w)::open\(")


def rule_for(path):
    fitting = [folder for folder in OURS if path.startswith(folder + "/")]
    return OURS[max(fitting, key=len)] if fitting else None


def allowed(places, path):
    return any(path.startswith(place) for place in places)


def breaches(path, text):
    ours = rule_for(path)
    for number, line in enumerate(text.splitlines(), 1):
        if allowed(CLOSED, path) and OPENS.search(line.partition("//")[0]):
            yield f"{path}:{number}: no file is opened here: contents come from config::Files"
        found = INCLUDE.match(line)
        if not found:
            continue
        quote, header = found.groups()
        place = f"{path}:{number}"
        if (ROOT / header).is_file() or quote == '"':
            if not (ROOT / header).is_file():
                yield f'{place}: "{header}" is not found from the root of the repository'
            elif header.startswith("tests/"):
                yield f"{place}: only tests include {header}"
            elif ours is not None and not allowed(ours, header):
                yield f"{place}: {path.rsplit('/', 1)[0]}/ may not include {header}"
        for pattern, places in LIBRARIES:
            if pattern.match(header) and not allowed(places, path):
                yield f"{place}: {header} belongs in {', '.join(places)}"


def main():
    found = []
    for folder in ("config", "tls", "proxy"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cc"):
                found += breaches(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    for breach in found:
        print(breach)
    return 1 if found else 0


sys.exit(main())
