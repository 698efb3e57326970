"""A mail reader of a sender: looks at all of `Deliller`, checks receipts against the mail they speak of, and writes each
message down for other judges. Prints what it found as JSON. Arguments: IMAP port, CA, user, password, folder."""

import email
import hashlib
import imaplib
import json
import re
import ssl
import sys

port, ca, user, password, folder = int(sys.argv[1]), *sys.argv[2:]
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
imap = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context, timeout=60)
imap.login(user, password)


def sha256(octets):
    return hashlib.sha256(octets).hexdigest()


def fetch(uid, what):
    code, data = imap.uid("FETCH", uid, f"(RFC822.SIZE BODYSTRUCTURE {what})")
    assert code == "OK", (uid, what, data)
    found = [part for part in data if isinstance(part, tuple)]
    assert len(found) == 1, data
    line = found[0][0] + b"".join(part for part in data if isinstance(part, bytes))
    return found[0][1], int(re.search(rb"RFC822.SIZE (\d+)", line)[1]), line


def leaves(part, number=""):
    """Every part that holds something, with its section number. An attached message is one part."""
    if part.get_content_maintype() == "multipart":
        for n, child in enumerate(part.get_payload(), 1):
            yield from leaves(child, f"{number}.{n}" if number else str(n))
    else:
        yield number or "1", part


def originals():
    """Every mail that was sent: Message-ID to (octets, a function that fetches a section of it)."""
    found = {}
    assert imap.select('"Giden Kutusu"', readonly=True)[0] == "OK"
    for uid in imap.uid("SEARCH", None, "ALL")[1][0].split():
        uid = uid.decode()
        octets, _, _ = fetch(uid, "BODY.PEEK[]")
        message = email.message_from_bytes(octets)
        sections = {number: fetch(uid, f"BODY.PEEK[{number}]")[0] for number, _ in leaves(message)}
        found[message["Message-ID"]] = (octets, sections)
    return found


def check_table(table, original, sections):
    """The table of parts, by hashing them here: as they stand, and as python decodes them."""
    assert table["original_sha256"] == sha256(original) and table["original_octets"] == len(original)
    parts = list(leaves(email.message_from_bytes(original)))
    assert [row["part"] for row in table["parts"]] == [number for number, _ in parts]
    for row, (number, part) in zip(table["parts"], parts):
        assert row["octets"] == len(sections[number]), (number, row)
        assert row["sha256"] == sha256(sections[number]), (number, row)
        decoded = part.get_payload(decode=True)
        assert row["decoded_octets"] == len(decoded), (number, row)
        assert row["decoded_sha256"] == sha256(decoded), (number, row)
        assert row["type"] == part.get_content_type()
        assert row["file"] == part.get_filename()


sent = originals()
assert imap.select("Deliller", readonly=True)[0] == "OK"
told = []
for uid in imap.uid("SEARCH", None, "ALL")[1][0].split():
    uid = uid.decode()
    octets, size, line = fetch(uid, "BODY.PEEK[]")
    assert size == len(octets), (uid, size, len(octets))
    message = email.message_from_bytes(octets)
    with open(f"{folder}/{uid}.eml", "wb") as out:
        out.write(octets)
    names = []
    for n, part in enumerate(message.get_payload(0).get_payload(), 1):
        name = part.get_filename() or part.get_content_type()
        names.append(name)
        section, _, _ = fetch(uid, f"BODY.PEEK[1.{n}]")
        assert section in octets
        original, sections = sent[message["In-Reply-To"]]
        if name == "orijinal.eml":
            assert section == original, "another mail came back"
            assert fetch(uid, f"BODY.PEEK[1.{n}]<100.50>")[0] == original[100:150]
            assert f" {len(original)} ".encode() in line, "BODYSTRUCTURE tells the size of the mail"
        if name == "saglayici-delil-iletisi.eml":
            with open(f"{folder}/{uid}.peer.eml", "wb") as out:
                out.write(section)
        if name == "parcalar.json":
            table = json.loads(part.get_payload(decode=True))
            assert table["evidence"] == message["X-REM-Evidence-Identifier"]
            assert table["rem_message_id"] == message["X-REM-Message-Identifier"]
            check_table(table, original, sections)
            text = message.get_payload(0).get_payload(0).get_payload(0).get_payload(decode=True).decode()
            assert all(row["decoded_sha256"] in text for row in table["parts"]), text
            assert "şartname 1.txt (text/plain)" in text, text
        if name == "baslik.txt":
            header = part.get_payload(decode=True)
            assert part.get_content_type() == "text/rfc822-headers"
            assert header == original[: original.index(b"\r\n\r\n") + 4]
            assert table["header_sha256"] == sha256(header) and table["header_octets"] == len(header)
    told.append({
        "uid": uid,
        "from": email.utils.parseaddr(message["From"])[1],
        "mail": message["In-Reply-To"],
        "references": message["References"],
        "id": message["Message-ID"],
        "kind": message["X-REM-Evidence-Type"],
        "parts": names,
        "size": size,
        "sha256": sha256(octets),
    })
imap.logout()
print(json.dumps(told))
