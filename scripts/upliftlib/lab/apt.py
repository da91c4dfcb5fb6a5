# SPDX-License-Identifier: GPL-2.0-only
"""Debian's archive, through a private apt: the host's packages and lists are neither used nor changed.

Which mirror: the one that the host's apt is configured with, as `apt-get indextargets` tells it (it reads one-line
and deb822 sources alike). Every suite that the lab wants is read from there, whatever the host's own suite is.
UPLIFT_MIRROR and UPLIFT_SECURITY_MIRROR override it.

Each suite has its own sources list and is refreshed by itself, at most once in UPLIFT_INDEX_HOURS (24), so that
`make run` reads one small index and a warm run does not need the network at all.
"""

import json
import os
import pathlib
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from ..base import console, errors, paths

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
HELPER = "/usr/lib/apt/apt-helper"
HERE = "amd64"		# what the build root is of
INDEX_HOURS = float(os.environ.get("UPLIFT_INDEX_HOURS") or 24)

# What the host has to say about how to get at a mirror also counts for us; where it keeps its things does not.
_HOST_OPTIONS = re.compile(r"^Acquire::(?:https?|tor)::|^Acquire::(?:Check-Valid-Until|Check-Date|ForceIPv[46]|Retries)\b")

_TARGET_FORMAT = "$(CREATED_BY)\t$(RELEASE)\t$(COMPONENT)\t$(SITE)"


def _run(argv: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    except FileNotFoundError:
        raise errors.Problem(f"no '{argv[0]}' here: the lab needs Debian 12 or 13; run scripts/setup") from None


# ------------------------------------------------------------------ mirrors

def _first_of_list(uri: str) -> str | None:
    """mirror+file:/path: apt's list of mirrors in a file; its first entry will do."""
    path = uri.split(":", 1)[1]
    # SITE is the list's own path, with or without the empty host's slashes
    path = "/" + path.lstrip("/")
    try:
        for line in pathlib.Path(path).read_text().splitlines():
            words = line.split("#")[0].split()
            if words:
                return words[0]
    except OSError:
        pass
    return None


def pick_mirrors(text: str) -> tuple[str | None, str | None]:
    """(archive, security) from the lines of `apt-get indextargets` in _TARGET_FORMAT.

    Only Debian's own suites count; other repositories that the host uses have other release names.
    security is None when the host has none configured.
    """
    names = r"(?:bullseye|bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable)"
    archive: list[tuple[bool, int, str]] = []
    security: list[str] = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 4 or fields[0] != "Packages" or fields[2] != "main":
            continue
        release, site = fields[1], fields[3].rstrip("/")
        if site.startswith("mirror+file:"):
            site = (_first_of_list(site) or "").rstrip("/")
        if not re.match(r"(?:https?|file|tor\+https?|copy|ftp)://?", site):
            continue
        match = re.fullmatch(names + r"(-security|-updates|-backports|-proposed-updates)?", release)
        if match and match[1] == "-security":
            security.append(site)
        elif match:
            # a plain suite is a surer sign than -backports, which some keep elsewhere
            archive.append((bool(match[1]), len(archive), site))
    return (min(archive)[2] if archive else None, security[0] if security else None)


_mirrors: tuple[str, str] | None = None


def mirrors() -> tuple[str, str]:
    """(archive URI, security URI), no slash at the end."""
    global _mirrors
    if _mirrors is None:
        archive = os.environ.get("UPLIFT_MIRROR")
        security = os.environ.get("UPLIFT_SECURITY_MIRROR")
        if not (archive and security):
            # the host's configuration, even if the caller's environment has another APT_CONFIG
            result = _run(["apt-get", "indextargets", "--format", _TARGET_FORMAT])
            if result.returncode:
                raise errors.Problem("apt-get indextargets failed: " + last_word(result.stderr))
            found = pick_mirrors(result.stdout)
            archive = archive or found[0]
            security = security or found[1]
        if not archive:
            raise errors.Problem("apt is configured with no mirror of Debian: add one to /etc/apt/sources.list, "
                              "or set UPLIFT_MIRROR=http://HOST/debian")
        # nearly every mirror has the two side by side; a suite that is not there is told later
        security = security or archive.rstrip("/") + "-security"
        _mirrors = archive.rstrip("/"), security.rstrip("/")
    return _mirrors


def site(suite: str) -> str:
    """The URI that a suite is read from."""
    archive, security = mirrors()
    return security if suite.endswith("-security") else archive


def source_line(suite: str) -> str:
    """The suite's line in a sources.list."""
    return f"deb [signed-by={keyring()}] {site(suite)} {suite} main"


def keyring() -> str:
    """The file with the keys that sign the archive's indexes."""
    path = os.environ.get("UPLIFT_KEYRING") or KEYRING
    if not os.path.exists(path):
        raise errors.Problem(f"no {path}: install debian-archive-keyring (scripts/setup does)")
    return path


def host_options() -> str:
    """The host's apt configuration as far as it says how to reach a mirror, in apt.conf's syntax."""
    result = _run(["apt-config", "dump"])
    return "".join(line + "\n" for line in result.stdout.splitlines() if _HOST_OPTIONS.match(line))


def last_word(text: str) -> str:
    """The line of apt's messages that says most."""
    lines = [line for line in text.splitlines() if line.strip()]
    for start in ("E: ", "W: ", ""):
        for line in lines:
            if line.startswith(start):
                return line.removeprefix(start).strip()
    return "no message"


# -------------------------------------------------------------- the private apt

def config(arch: str = HERE) -> pathlib.Path:
    """The private apt's configuration file; use as APT_CONFIG. Reads no sources but those named on the command.

    arch: whose packages it knows, as Debian calls it
    """
    base = paths.ensure(paths.APT)
    for part in ("state/lists/partial", "cache/archives/partial", "etc/empty", "sources"):
        paths.ensure(base / part)
    status = base / "status"
    if not status.exists():
        status.touch()
    text = f"""\
// written by scripts/upliftlib/lab/apt.py at every run
Dir::State "{base}/state";
Dir::State::status "{status}";
Dir::Cache "{base}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{base}/etc/empty";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "{base}/etc/empty";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Default-Release "";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""
    path = base / f"apt{_suffix(arch)}.conf"
    if not path.exists() or path.read_text() != text:
        paths.write(path, text)
    return path


def _suffix(arch: str) -> str:
    """What files are called by that are an architecture's own."""
    return "" if arch == HERE else f"-{arch}"


def _environment(arch: str = HERE) -> dict[str, str]:
    return dict(os.environ, APT_CONFIG=str(config(arch)), LC_ALL="C.UTF-8")


def _suite_options(suite: str) -> list[str]:
    path = paths.APT / "sources" / f"{suite}.list"
    text = source_line(suite) + "\n"
    if not path.exists() or path.read_text() != text:
        paths.write(path, text)
    return ["-o", f"Dir::Etc::sourcelist={path}"]


def _stanzas(text: str, wanted: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Stanzas of a Packages file whose package's name begins with one of `wanted`."""
    begins = tuple("Package: " + word for word in wanted)
    for stanza in text.split("\n\n"):
        if not stanza.startswith(begins):
            continue
        fields: dict[str, str] = {}
        key = None
        for line in stanza.split("\n"):
            if line[:1] in (" ", "\t"):
                if key:
                    fields[key] += "\n" + line.strip()
            elif ":" in line:
                key, value = line.split(":", 1)
                fields[key] = value.strip()
        yield fields


# The kernel's packages, and what they were compiled with.
_NAMES = ("linux-", "gcc-", "cpp-", "libgcc-")
_KEEP = ("Package", "Version", "Filename", "Size", "SHA256", "Depends")


def parse_packages(text: str) -> list[dict[str, str]]:
    """[{Package, Version, Filename, Size, SHA256, Depends}] of the packages in a Packages index that count here."""
    return [{key: fields[key] for key in _KEEP if key in fields} for fields in _stanzas(text, _NAMES)]


_suites: dict[str, dict[str, Any]] = {}


def suite(name: str, arch: str = HERE) -> dict[str, Any]:
    """{"packages": [...]} of a suite: the kernel's, and compilers'; for an architecture as Debian calls it.

    Refreshed when it is older than INDEX_HOURS; an old one serves when the mirror cannot be reached.
    Problem when there is none at all.
    """
    key = name + _suffix(arch)
    if key in _suites:
        return _suites[key]
    digest = paths.APT / f"{key}.json"
    with paths.lock("apt"):
        old = _read(digest, site(name))
        if old and 0 <= time.time() - old["time"] < INDEX_HOURS * 3600:
            _suites[key] = old
            return old
        try:
            _suites[key] = _refresh(name, digest, arch)
        except errors.Problem as problem:
            if not old:
                raise
            console.warn(f"{problem}; going on with the index of "
                     + time.strftime("%Y-%m-%d %H:%M", time.localtime(old["time"])))
            _suites[key] = old
    return _suites[key]


def _read(digest: pathlib.Path, uri: str) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(digest.read_text())
        # another mirror may lag behind or be ahead: do not mix
        return data if data["uri"] == uri and data["names"] == list(_NAMES) else None
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _refresh(name: str, digest: pathlib.Path, arch: str) -> dict[str, Any]:
    environment = _environment(arch)
    options = _suite_options(name)
    with console.doing(f"reading the index of {name}{'' if arch == HERE else f' for {arch}'}"):
        result = _run(["apt-get", *options, "update", "--error-on=any", "-q"], env=environment)
        if result.returncode:
            raise errors.Problem(f"cannot read {name} from {site(name)}: {last_word(result.stderr)}")
        listed = _run(["apt-get", *options, "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"],
                      env=environment)
        files = listed.stdout.split()
        if listed.returncode or not files:
            raise errors.Problem(f"apt has no index for {name} after an update: {last_word(listed.stderr)}")
        # apt keeps indexes in the compression it likes; its helper undoes it
        content = _run([HELPER, "cat-file", *files], env=environment)
        if content.returncode:
            raise errors.Problem(f"cannot read the index of {name}: {last_word(content.stderr)}")
        data = {"uri": site(name), "time": time.time(), "names": _NAMES, "packages": parse_packages(content.stdout)}
        paths.write(digest, json.dumps(data))
    return data


def version_key(version: str) -> list[tuple[tuple[int, ...], int]]:
    """Sort key for Debian's kernel versions (dpkg's order: digits count, '~' comes before all)."""
    key = []
    for text, number in re.findall(r"(\D*)(\d*)", version):
        order = tuple(-1 if char == "~" else ord(char) + (0 if char.isalpha() else 256) for char in text)
        # a terminating 0 makes the end of the text sort after '~' and before everything else
        key.append((order + (0,), int(number or 0)))
    return key


def download_command(uri: str, path: pathlib.Path, sha256: str) -> tuple[list[str], dict[str, str]]:
    """(argv, env) of the process that gets one file: apt's own way, so its proxies and passwords count.

    It goes on where an earlier attempt stopped when `path` exists. No sum: apt checks none.
    """
    digest = [f"SHA256:{sha256}"] if sha256 else []
    return [HELPER, "-q", "-o", "Acquire::Retries=3", "download-file", uri, str(path), *digest], _environment()


def is_gone(said: str) -> bool:
    """Does apt say of a file that the mirror does not have it?"""
    return bool(re.search(r"(?<!\S)(404|410)(?!\S)|File not found", said))
