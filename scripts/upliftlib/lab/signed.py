# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab signed`: modules that `make sign` signed, on a stock kernel under Secure Boot, with the key enrolled.

The firmware is OVMF. Its db has two certificates: that of the distribution which signed the image, taken from the image
itself, and the one that `make sign NEW=1` makes. So the firmware boots the image, and the kernel takes our modules and no
others, as on a machine whose owner has enrolled the key.
"""

import argparse
import pathlib
import re
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base import changes, console, errors, paths
from . import buildroot, commands, guest, kernels, kmod, testprograms

OVMF = "usr/share/OVMF"
OWNER = "605dab50-e046-4300-abb6-3dd810dd8b23"	# a signature list names its owner; any GUID does
CORE = "uplift"

SCRIPT = r"""
failed=0
check()
{
	if [ "$1" = 0 ]; then echo "ok   $2"; else echo "FAIL $2"; failed=1; fi
}

refused()	# WHAT FILE LOG: with EKEYREJECTED, and the kernel says so
{
	said=$(insmod "$2" 2>&1)
	echo "$said" | grep -q "Key was rejected"
	check $? "$1 is refused: ${said##*: }"
	[ -n "$3" ] || return
	dmesg | tail -n 3 | grep -q "$3"
	check $? "$1: the log says $3"
}

mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
dmesg | grep -q "Secure boot enabled"
check $? "Secure Boot is on"
grep -qF "[integrity]" /sys/kernel/security/lockdown
check $? "the kernel is locked down"
refused "an unsigned module" /unsigned/uplift.ko "unsigned module is rejected"
refused "one that is signed by somebody else" /other/uplift.ko "unavailable key is rejected"
refused "one that was changed since" /changed/uplift.ko ""
[ "$(cat /proc/sys/kernel/tainted)" = 0 ]
check $? "what is refused does not taint"
insmod /signed/uplift.ko
check $? "uplift.ko, signed, is loaded"
for name in @CHANGES@; do
	insmod /signed/uplift_$name.ko
	check $? "uplift_$name.ko, signed, is loaded"
done
[ "$(cat /proc/sys/kernel/tainted)" = 4096 ]
check $? "the taint is out of tree (4096), and not unsigned: $(cat /proc/sys/kernel/tainted)"
for name in @CHANGES@; do
	dir=/sys/kernel/debug/uplift/$name
	grep -q . $dir/verdict
	check $? "$name: verdict can be read: $(head -n 1 $dir/verdict)"
	# what is right for a change stands with its selftests
	(CHANGE=signed DIR=/selftests && . $DIR/lib.sh && of_change $name && works)
	check $? "$name works"
	[ -e $dir/arm ] || continue
	! echo null 2>/dev/null >$dir/arm
	check $? "$name: arm cannot be opened"
done
for name in @CHANGES@; do
	rmmod uplift_$name
	check $? "uplift_$name is unloaded"
done
rmmod uplift
check $? "uplift is unloaded"
exit $failed
"""


def signature(image: bytes) -> bytes | None:
    """The PKCS#7 message that a PE image is signed with; None where it is not."""
    try:
        pe, = struct.unpack_from("<I", image, 0x3c)
        magic, = struct.unpack_from("<H", image, pe + 24)
        if image[pe:pe + 4] != b"PE\0\0" or magic not in (0x10b, 0x20b):
            raise ValueError
        at, size = struct.unpack_from("<II", image, pe + 24 + (112 if magic == 0x20b else 96) + 4 * 8)
        if not size:
            return None
        length, = struct.unpack_from("<I", image, at)
        return image[at + 8:at + length]
    except (struct.error, ValueError):
        raise errors.Problem("the kernel's image is no PE file: built without CONFIG_EFI_STUB?") from None


def _inside(argv: Sequence[buildroot.Word], what: str, env: Mapping[str, str] | None = None) -> str:
    code, text = buildroot.output(argv, env=env)
    if code:
        raise errors.Problem(f"{what}: status {code}: {text.strip()[-300:]}")
    return text


def _signed(target: kernels.Target, kos: Iterable[pathlib.Path], where: pathlib.Path, keys: pathlib.Path) -> list[pathlib.Path]:
    """Copies of modules, signed as `make sign NEW=1` does it."""
    copies = [shutil.copy(ko, paths.ensure(where)) for ko in kos]
    _inside([paths.TOP / "scripts/sign", "--new", "--kdir", target.part("kdir"), *copies], "scripts/sign",
            env={"UPLIFT_KEYS": str(keys)})
    return [pathlib.Path(copy) for copy in copies]


def firmware(target: kernels.Target, keys: pathlib.Path, where: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """(code, variables) of a firmware with Secure Boot on, that knows the image's signer and ours."""
    message = signature(target.part("vmlinuz").read_bytes())
    if message is None:
        raise errors.Skip(f"{target.name}: its image is not signed")
    (where / "image.p7").write_bytes(message)
    text = _inside(["openssl", "pkcs7", "-inform", "DER", "-in", where / "image.p7", "-print_certs"], "the image's signature")
    signer = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.DOTALL)
    if signer is None:
        raise errors.Problem(f"{target.name}: no certificate in its image's signature")
    paths.write(where / "signer.pem", signer[0])
    _inside(["openssl", "x509", "-inform", "DER", "-in", keys / "signing.der", "-out", where / "ours.pem"], "our certificate")
    variables = where / "vars.fd"
    ours: tuple[str, pathlib.Path] = (OWNER, where / "ours.pem")
    _inside(["virt-fw-vars", "--input", f"/{OVMF}/OVMF_VARS_4M.fd", "--output", variables, "--set-pk", *ours, "--add-kek",
             *ours, "--add-db", *ours, "--add-db", OWNER, where / "signer.pem", "--secure-boot"], "virt-fw-vars")
    return paths.ROOT / OVMF / "OVMF_CODE_4M.secboot.fd", variables


def _test(args: argparse.Namespace) -> int:
    commands.check(args)
    buildroot.ensure("efi")
    target = commands.chosen(args, {"image", "modules", "headers", "slice"})
    built = kmod.build(target)
    names = [change.name for change in changes.load().values()
             if change.module in built and change.expect.get(target.name, "applicable") == "applicable"]
    plain = [built[CORE], *(built[f"{CORE}_{name}"] for name in names)]
    where = paths.BUILD / "signed"
    paths.remove(where)
    signed = _signed(target, plain, where / "signed", where / "keys")
    other = _signed(target, plain[:1], where / "other", where / "other-keys")
    changed = paths.ensure(where / "changed") / "uplift.ko"
    data = bytearray(signed[0].read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    files = {f"/{path.parent.name}/{path.name}": path for path in (*signed, *other, changed)}
    files["/unsigned/uplift.ko"] = plain[0]
    files["/selftests"] = testprograms.build()
    with console.doing(f"signed modules under Secure Boot, {target.release}"):
        result = guest.boot(target, SCRIPT.replace("@CHANGES@", " ".join(names)), files=files,
                            efi=firmware(target, where / "keys", where), thread="single", timeout=600,
                            name=f"{target.name}-signed", quiet=True)
    text = result.output.read_text(errors="replace") if result.output.exists() else ""
    print(text, end="")
    passed, failed = (len(re.findall(rf"(?m)^{word} ", text)) for word in ("ok  ", "FAIL"))
    if not result.ok and not failed:
        print(f"FAIL {result.problem()} ({result.console})")
        failed = 1
    print(f"signed: {passed} passed, {failed} failed, 0 skipped")
    return errors.FAIL if failed else errors.OK


def register(commands_: Any) -> None:
    """Add `uplift lab signed`."""
    parser = commands_.add_parser("signed", help="signed modules under Secure Boot, in a guest",
                                  description="Sign modules as `make sign` does, enrol the key in a guest's firmware, and "
                                              "boot the stock kernel under Secure Boot: what is signed is loaded, what "
                                              "is not is refused.")
    commands.add_kernel_options(parser)
    parser.set_defaults(func=_test)
