"""Reads evidence records (RFC 4998) and says of each whether it proves its objects. An independent judge for the tests: it is
written from the RFC, shares nothing with kepd, and leaves every question about a time-stamp to `openssl ts -verify`.

    read.py FOLDER NOW      NOW in seconds since 1970

The folder has roots.pem, and for each record NAME.ers its objects NAME.0, NAME.1, ...; they are a whole group. Each record makes
one line: `ok` or `no: why`. Not judged: until when an algorithm is fit.
"""

import calendar
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import time

HASHES = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")


class No(Exception):
    pass


def element(data, at):
    """(tag, content, whole, next position) of the element that begins at `at`."""
    if at + 2 > len(data):
        raise No("truncated")
    tag, length, body = data[at], data[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        if count == 0:
            raise No("indefinite length")
        length, body = int.from_bytes(data[body : body + count], "big"), body + count
    end = body + length
    if end > len(data):
        raise No("truncated")
    return tag, data[body:end], data[at:end], end


def children(data):
    at, found = 0, []
    while at < len(data):
        tag, content, whole, at = element(data, at)
        found.append((tag, content, whole))
    return found


def only(data, tag):
    found = children(data)
    if len(found) != 1 or found[0][0] != tag:
        raise No(f"one element with tag {tag:#x} expected")
    return found[0][1]


def tagged(item, tag):
    if item[0] != tag:
        raise No(f"tag {item[0]:#x} instead of {tag:#x}")
    return item[1]


def hash_name(identifier):
    """The hash of an AlgorithmIdentifier's content."""
    name = HASHES.get(tagged(children(identifier)[0], 0x06))
    if name is None:
        raise No("unknown hash algorithm")
    return name


def digest(name, data):
    return hashlib.new(name, data).digest()


def imprint_of(token):
    """(hash name, hash, time) of a TimeStampToken."""
    info = children(only(token, 0x30))
    if tagged(info[0], 0x06) != SIGNED_DATA:
        raise No("not SignedData")
    signed = children(only(tagged(info[1], 0xA0), 0x30))
    content = children(tagged(signed[2], 0x30))
    if tagged(content[0], 0x06) != TST_INFO:
        raise No("not a time-stamp")
    tst = children(only(only(tagged(content[1], 0xA0), 0x04), 0x30))
    imprint = children(tagged(tst[2], 0x30))
    moment = tagged(tst[4], 0x18).decode("ascii", "replace")
    try:
        seconds = calendar.timegm(time.strptime(moment.split(".")[0].rstrip("Z"), "%Y%m%d%H%M%S"))
    except ValueError:
        raise No("time") from None
    return hash_name(tagged(imprint[0], 0x30)), tagged(imprint[1], 0x04), seconds


def root_of(name, lists):
    """RFC 4998 4.3, step 3. A first list of one value is that value."""
    carried = None
    for values in lists:
        values = list(values) + ([] if carried is None else [carried])
        if carried is None and len(values) == 1:
            carried = values[0]
        else:
            carried = digest(name, b"".join(sorted(values)))
    return carried


class Openssl:
    """Asks once for each (token, imprint, moment)."""

    def __init__(self, roots, scratch):
        self.roots, self.scratch, self.known = roots, scratch, {}

    def check(self, token, imprint, moment):
        key = (token, imprint, moment)
        if key not in self.known:
            self.scratch.write_bytes(token)
            command = ["openssl", "ts", "-verify", "-token_in", "-in", self.scratch, "-digest", imprint.hex()]
            command += ["-CAfile", self.roots, "-attime", str(moment)]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace")
            good = done.returncode == 0 and "Verification: OK" in done.stdout
            self.known[key] = None if good else f"openssl at {moment}: {done.stderr.strip()[-160:]}"
        if self.known[key]:
            raise No(self.known[key])


def stamp_of(fields):
    """(hash name or None, lists, token) of an ArchiveTimeStamp; tags are implicit."""
    fields = children(fields)
    name, lists = None, []
    if fields and fields[0][0] == 0xA0:
        name = hash_name(fields.pop(0)[1])
    if fields and fields[0][0] == 0xA1:
        raise No("attributes")
    if fields and fields[0][0] == 0xA2:
        lists = [[tagged(v, 0x04) for v in children(tagged(l, 0x30))] for l in children(fields.pop(0)[1])]
        if not lists or not all(lists):
            raise No("an empty list")
    if len(fields) != 1:
        raise No("fields of an ArchiveTimeStamp")
    tagged(fields[0], 0x30)
    return name, lists, fields[0][2]


def covered(name, lists, wanted, what):
    """The value that the time-stamp must be over."""
    if not lists:
        if len(wanted) != 1:
            raise No(f"{what}: no list, several objects")
        return wanted[0]
    if any(len(v) != len(wanted[0]) for values in lists for v in values):
        raise No("length of a hash")
    if not all(w in lists[0] for w in wanted):
        raise No(f"{what} is not in the first list")
    return root_of(name, lists)


def judge(record, objects, openssl, now):
    fields = children(only(record, 0x30))
    if len(fields) != 3 or fields[0][:2] != (0x02, b"\x01"):
        raise No("fields of an EvidenceRecord")
    stated = sorted(hash_name(tagged(a, 0x30)) for a in children(tagged(fields[1], 0x30)))
    chains = children(tagged(fields[2], 0x30))
    used, previous, last_time = set(), None, 0
    for number, (tag, content, _) in enumerate(chains):
        if tag != 0x30:
            raise No("chain")
        # RFC 4998 5.2: the sequence of all chains before, as DER.
        older = b"".join(whole for _, _, whole in chains[:number])
        length = len(older)
        size = length.to_bytes((length.bit_length() + 7) // 8 or 1, "big")
        head = bytes([length]) if length < 0x80 else bytes([0x80 | len(size)]) + size
        sequence = b"\x30" + head + older
        chain_name = None
        for place, item in enumerate(children(content)):
            name, lists, token = stamp_of(tagged(item, 0x30))
            imprint_name, imprint, moment = imprint_of(token)
            name = name or imprint_name
            chain_name = chain_name or name
            if not name == imprint_name == chain_name:
                raise No("hash algorithms differ")
            if place:
                wanted = [digest(name, previous[0])]
            else:
                wanted = [digest(name, o) for o in objects]
                if number:
                    wanted = [digest(name, w + digest(name, sequence)) for w in wanted]
                if lists and len(objects) > 1 and sorted(lists[0]) != sorted(wanted):
                    raise No("not the whole group")
            root = covered(name, lists, wanted, f"chain {number} time-stamp {place}")
            if root != imprint:
                raise No(f"chain {number} time-stamp {place}: the root is not what was time-stamped")
            if moment < last_time or moment > now:
                raise No("order of times")
            openssl.check(token, root, moment)
            if previous:
                openssl.check(previous[0], previous[1], moment)
            previous, last_time = (token, root), moment
        used.add(chain_name)
    if previous is None:
        raise No("no time-stamp")
    openssl.check(previous[0], previous[1], now)
    if sorted(used) != stated:
        raise No("digestAlgorithms")


def main():
    folder, now = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        openssl = Openssl(folder / "roots.pem", pathlib.Path(scratch) / "token")
        for record in sorted(folder.glob("*.ers")):
            objects = [p.read_bytes() for p in sorted(folder.glob(record.stem + ".[0-9]"))]
            try:
                judge(record.read_bytes(), objects, openssl, now)
                print("ok")
            except (No, IndexError) as why:
                print("no:", " ".join(str(why).split()) or type(why).__name__)


main()
