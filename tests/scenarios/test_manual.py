"""What the program prints of itself: manual pages, and completion for shells."""

import re
import shutil
import subprocess

import pytest


def printed(postern, *argv):
    return subprocess.run([postern, *argv], check=True, capture_output=True, text=True, timeout=60).stdout


def commands(postern):
    """Each command with its options, as help has them; hidden ones not."""
    names = re.findall(r"^  ([a-z]+) {2,}", printed(postern, "--help").partition("Subcommands:")[2], re.MULTILINE)
    assert "run" in names and "gateway" not in names
    return {name: re.findall(r"^  (?:-\w,)?(--[a-z-]+)", printed(postern, "help", name), re.MULTILINE) for name in names}


@pytest.mark.parametrize("argv", [("help", "--print-manual"), ("check", "--print-manual")], ids=["postern(8)", "postern.yaml(5)"])
def test_pages_are_printed_without_a_complaint(postern, folder, argv):
    if not shutil.which("groff"):
        pytest.skip("no groff here")
    path = f"{folder}/page"
    with open(path, "w", encoding="utf-8") as file:
        file.write(printed(postern, *argv))
    # A default that is a long list breaks no line; and no octets for a terminal.
    argv = ["groff", "-man", "-ww", "-Wbreak", "-Tutf8", "-P-cbou", path]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "" and "SEE ALSO" in done.stdout


def test_the_page_has_every_command_and_option(postern):
    page = printed(postern, "help", "--print-manual").replace("\\-", "-")
    for name, options in commands(postern).items():
        section = page.partition(f".SS postern {name}\n")[2].partition(".SS ")[0]
        assert section, name
        for option in set(options) - {"--help"}:
            assert re.search(rf"\\fB(-\w, )?{option}\\fP", section), (name, option)


def completed(script, *words):
    """What bash would offer for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    run = f"compopt() {{ :; }}; {script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _postern; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", run], capture_output=True, text=True, timeout=60, check=True).stdout.split()


def test_bash_completes_every_command_and_option(postern, folder):
    script = printed(postern, "help", "--print-completion", "bash")
    known = commands(postern)
    assert set(known) <= set(completed(script, "postern", ""))
    assert completed(script, "postern", "che") == ["check"]
    for name, options in known.items():
        assert set(options) <= set(completed(script, "postern", name, "-")), name
    with open(f"{folder}/some.yaml", "w", encoding="ascii"):
        pass
    assert completed(script, "postern", "run", "--config", f"{folder}/so") == [f"{folder}/some.yaml"]
    assert completed(script, "postern", "probe", "--listener", "") == []
    assert completed(script, "postern", "help", "pro") == ["probe"]


def test_zsh_takes_its_script(postern, folder):
    if not shutil.which("zsh"):
        pytest.skip("no zsh here")
    path = f"{folder}/_postern"
    with open(path, "w", encoding="utf-8") as file:
        file.write(printed(postern, "help", "--print-completion", "zsh"))
    subprocess.run(["zsh", "-n", path], check=True, timeout=60)
