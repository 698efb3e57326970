"""Drives FETCH and APPEND through the mailbox door, octet by octet: PORT_TLS CA PASSWORD CORPUS_FOLDER CASE."""
import base64
import email.header
import itertools
import os
import quopri
import re
import socket
import ssl
import sys

tls, ca, password, corpus, case = int(sys.argv[1]), *sys.argv[2:6]
context = ssl.create_default_context(cafile=ca)


class Client:
    """A client that takes literals apart itself, so that every announced length is held."""

    def __init__(self, user=None):
        self.socket = context.wrap_socket(socket.create_connection(("localhost", tls)), server_hostname="localhost")
        self.socket.settimeout(60)
        self.lines = self.socket.makefile("rb")
        self.tag = 0
        self.greeting = self.line()
        if user:
            self.ok("LOGIN %s \"%s\"" % (user, password))

    def line(self):
        """One response with its literals, as a list: text, literal, text, ..."""
        parts = []
        while True:
            text = self.lines.readline()
            assert text.endswith(b"\r\n"), text
            size = re.search(rb"(~?)\{(\d+)\}\r\n$", text)
            if not size:
                return parts + [text[:-2]]
            parts += [text[:size.start()], self.lines.read(int(size.group(2)))]
            self.literal8 = bool(size.group(1))

    def say(self, command, *literals):
        """Sends a command; each `{}` in it is a literal, sent without asking. Gives status, text and untagged lines."""
        self.tag += 1
        tag = b"t%d" % self.tag
        command = command.encode() if isinstance(command, str) else command
        pieces = command.split(b"{}")
        octets = pieces[0]
        for literal, rest in zip(literals, pieces[1:], strict=True):
            octets += b"{%d+}\r\n" % len(literal) + literal + rest
        self.socket.sendall(tag + b" " + octets + b"\r\n")
        untagged = []
        while True:
            line = self.line()
            if line[0].startswith(tag + b" "):
                status, text = line[0][len(tag) + 1:].split(b" ", 1)
                return status.decode(), text.decode(), untagged
            untagged.append(line)

    def ok(self, command, *literals):
        status, text, untagged = self.say(command, *literals)
        assert status == "OK", (command, status, text)
        return untagged

    def no(self, command, *literals):
        status, text, untagged = self.say(command, *literals)
        assert status == "NO", (command, status, text)
        return text

    def fetch(self, numbers, items):
        """The items of one message, as a dictionary."""
        lines = [l for l in self.ok(b"FETCH %s (%s)" % (str(numbers).encode(), items.encode())) if b" FETCH (" in l[0]]
        assert len(lines) == 1, lines
        flat = parsed(lines[0])[0]
        return {named(flat[i]): flat[i + 1] for i in range(0, len(flat), 2)}

    def has(self, command, want):
        lines = [l[0].decode() for l in self.ok(command)]
        assert any(want in l for l in lines), (want, lines)


def named(word):
    return word.decode() if isinstance(word, bytes) else word


def parsed(line):
    """The lists of a response line: atoms as str, strings and literals as bytes, NIL as None."""
    stack = [[]]
    for at, part in enumerate(line):
        if at % 2:
            stack[-1].append(part)
            continue
        part = part[part.index(b"("):] if at == 0 else part
        for token in re.finditer(rb'\(|\)|"((?:[^"\\]|\\.)*)"|((?:[^\s()"\[]|\[[^\]]*\])+)', part):
            if token.group() == b"(":
                stack.append([])
            elif token.group() == b")":
                done = stack.pop()
                stack[-1].append(done)
            elif token.group(1) is not None:
                stack[-1].append(re.sub(rb"\\(.)", rb"\1", token.group(1)))
            else:
                word = token.group(2).decode()
                stack[-1].append(None if word == "NIL" else word)
    assert len(stack) == 1, line
    return stack[0]


def leaves(structure, path=()):
    """(number, leaf) of every part that is not multipart, from a BODYSTRUCTURE."""
    if isinstance(structure[0], list):
        for n, child in enumerate(itertools.takewhile(lambda c: isinstance(c, list), structure), 1):
            yield from leaves(child, path + (n,))
        return
    number = path or (1,)
    yield number, structure
    kind = (structure[0] + b"/" + structure[1]).lower()
    if kind == b"message/rfc822" and len(structure) > 8 and isinstance(structure[8], list):
        inner = structure[8]
        if isinstance(inner[0], list):
            yield from leaves(inner, number)
        else:
            yield from leaves(inner, number + (1,))


def check_mail(client, number, name, octets):
    got = client.fetch(number, "UID RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BINARY.PEEK[] BINARY.SIZE[]")
    assert got["BODY[]"] == octets, name
    assert int(got["RFC822.SIZE"]) == len(octets), name
    assert got["BODY[HEADER]"] + got["BODY[TEXT]"] == octets, name
    assert got["BINARY[]"] == octets and int(got["BINARY.SIZE[]"]) == len(octets), name
    assert len(got["ENVELOPE"]) == 10, (name, got["ENVELOPE"])
    # Names doubled, unknown, and chosen the other way round: together they are the header.
    some = client.fetch(number, 'BODY.PEEK[HEADER.FIELDS (subject SUBJECT "x y" Nothing {0+}\r\n)]')
    (_, chosen), = some.items()
    assert chosen.endswith(b"\r\n"), name
    rest = client.fetch(number, "BODY.PEEK[HEADER.FIELDS.NOT (Subject)]")
    (_, others), = rest.items()
    lines = lambda o: sorted(l for l in o.replace(b"\r\n", b"\n").split(b"\n") if l)
    if b":" in got["BODY[HEADER]"] and name not in LOOSE_HEADERS:
        assert lines(chosen + others) == lines(got["BODY[HEADER]"]), (name, chosen, others)
    at = 0
    for path, leaf in leaves(got["BODYSTRUCTURE"]):
        section = ".".join(map(str, path))
        part = client.fetch(number, f"BODY.PEEK[{section}] BODY.PEEK[{section}.MIME]")
        body, mime = part[f"BODY[{section}]"], part[f"BODY[{section}.MIME]"]
        assert body is not None, (name, section)
        assert int(leaf[6]) == len(body), (name, section, leaf, len(body))
        if leaf[0].lower() == b"text":
            assert int(leaf[7]) == body.count(b"\n"), (name, section, leaf)
        # Each part stands in the message as it is, behind its header, and in order.
        assert (mime or b"") + body in octets, (name, section)
        if (leaf[0] + leaf[1]).lower() != b"messagerfc822":
            found = octets.find(body, at)
            assert found >= 0, (name, section)
            at = found + len(body)
        # In pieces it is the same.
        step, pieces = max(1, len(body) // 3 + 1), b""
        while len(pieces) < len(body):
            piece = client.fetch(number, f"BODY.PEEK[{section}]<{len(pieces)}.{step}>")[f"BODY[{section}]<{len(pieces)}>"]
            assert piece and len(piece) <= step
            pieces += piece
        assert pieces == body, (name, section)
        assert client.fetch(number, f"BODY.PEEK[{section}]<{len(body)}.9223372036854775807>")[f"BODY[{section}]<{len(body)}>"] == b""
        check_binary(client, number, name, section, leaf, body)
    missing = client.fetch(number, "BODY.PEEK[9.9] BODY.PEEK[9.MIME] BODY.PEEK[9.HEADER] BINARY.PEEK[9]")
    assert set(missing.values()) == {None}, (name, missing)


# Headers that another reader takes apart in another way.
LOOSE_HEADERS = {"no-colon", "no-end", "bare-lf", "eight-bit"}
KNOWN = {b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"}


def check_binary(client, number, name, section, leaf, body):
    encoding = leaf[5].lower().strip()
    if encoding not in KNOWN:
        text = client.no(f"FETCH {number} BINARY.PEEK[{section}]")
        assert text.startswith("[UNKNOWN-CTE]"), text
        return
    got = client.fetch(number, f"BINARY.SIZE[{section}] BINARY.PEEK[{section}]")
    whole = got[f"BINARY[{section}]"]
    assert int(got[f"BINARY.SIZE[{section}]"]) == len(whole), (name, section)
    if leaf[0].lower() in (b"message", b"multipart") or encoding in (b"7bit", b"8bit", b"binary"):
        assert whole == body, (name, section)
    elif encoding == b"base64" and not name.startswith("broken"):
        assert whole == base64.b64decode(body), (name, section)
    elif not name.startswith("broken"):
        # RFC 2045 6.7 rule 3: white space at the end of a line is no data; Python keeps it.
        assert whole == quopri.decodestring(re.sub(rb"[ \t]+(?=\r?\n|$)", b"", body)), (name, section)
    assert client.literal8 or b"\0" not in whole or encoding in (b"7bit",), (name, section)
    third = max(1, len(whole) // 3)
    part = client.fetch(number, f"BINARY.PEEK[{section}]<{third}.{third}>")[f"BINARY[{section}]<{third}>"]
    assert part == whole[third:2 * third], (name, section)


def the_corpus():
    client = Client("mudur@ornekas")
    client.ok("SELECT INBOX")
    names = sorted(os.listdir(corpus))
    for number, name in enumerate(names, 1):
        with open(os.path.join(corpus, name), "rb") as file:
            check_mail(client, number, name.split("-", 1)[1], file.read())
    # All at once: a line for each, in order.
    lines = client.ok("FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])")
    assert [parsed(l)[0][1] for l in lines] == [str(n) for n in range(1, len(names) + 1)]
    for name, line in zip(names, lines):
        assert int(parsed(line)[0][3]) == len(line[1]) == os.path.getsize(os.path.join(corpus, name)), name


def reading():
    """Which of it is reading, for the evidence: the test counts."""
    client = Client("mudur@ornekas")
    client.ok("SELECT INBOX")
    # 1 is looked at in all ways that are none; 2 is read by BINARY; 3 by BODY, and then its preview is told.
    got = client.fetch(1, "PREVIEW BINARY.SIZE[1] ENVELOPE BODYSTRUCTURE FLAGS")
    assert got["PREVIEW"] == b"" and got["BINARY.SIZE[1]"] == "7", got
    line, = client.ok("FETCH 1 (PREVIEW (LAZY))")
    assert line[0] == b"* 1 FETCH (PREVIEW NIL)", line
    # Where nothing is, nothing is given.
    client.ok("FETCH 1 (BODY.PEEK[99] BODY.PEEK[]<99999999.1> BODY.PEEK[7.HEADER] BINARY.PEEK[99])")
    assert client.fetch(2, "BINARY[1]")["BINARY[1]"] == b"Merhaba"
    assert "\\Seen" in client.fetch(2, "FLAGS")["FLAGS"]
    line, = client.ok("FETCH 3 (PREVIEW (LAZY) BODY.PEEK[])")
    assert line[0].startswith(b'* 3 FETCH (PREVIEW "Say'), line
    assert "\\Seen" not in client.fetch(3, "FLAGS")["FLAGS"]
    # What cannot be decoded is not given, and so not read.
    assert client.no("FETCH 4 BINARY[1]").startswith("[UNKNOWN-CTE]")
    assert "\\Seen" not in client.fetch(4, "FLAGS")["FLAGS"]
    # NULs come in a literal8.
    assert client.fetch(5, "BINARY.PEEK[1]")["BINARY[1]"] == b"\0\1\2" and client.literal8
    assert client.fetch(2, "BINARY.PEEK[1]")["BINARY[1]"] == b"Merhaba" and not client.literal8


DRAFT = b"From: ornekas@hs01.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: taslak\r\nMessage-ID: <%s@hs01.kep.test>\r\n\r\n%s\r\n"


def appending():
    client = Client("ayse@ornekas")
    two = (DRAFT % (b"a", b"bir"), DRAFT % (b"b", b"iki"))
    status, text, _ = client.say('APPEND Taslaklar (\\Seen) " 5-Nov-1994 10:00:00 +0000" {} (\\Flagged) {}', *two)
    assert status == "OK" and re.search(r"\[APPENDUID \d+ 1:2\]", text), text
    client.ok("SELECT Taslaklar")
    first, second = client.fetch(1, "FLAGS BODY.PEEK[] INTERNALDATE SAVEDATE"), client.fetch(2, "FLAGS BODY.PEEK[]")
    assert (first["BODY[]"], second["BODY[]"]) == two
    assert "\\Seen" in first["FLAGS"] and "\\Flagged" in second["FLAGS"], (first, second)
    assert first["INTERNALDATE"] == b" 5-Nov-1994 10:00:00 +0000", first
    assert first["SAVEDATE"] and b"1994" not in first["SAVEDATE"], first
    # All or none.
    limit = int(re.search(rb"APPENDLIMIT=(\d+)", client.ok("CAPABILITY")[0][0]).group(1))
    client.has("STATUS Taslaklar (APPENDLIMIT)", f"(APPENDLIMIT {limit})")
    assert last_refused(client, "APPEND Taslaklar {} {%d}" % (limit + 1), DRAFT % (b"c", b"x")).startswith("[TOOBIG]")
    last_refused(client, "APPEND Taslaklar {} {0}", DRAFT % (b"f", b"x"))
    good, with_nul = DRAFT % (b"d", b"x"), DRAFT % (b"e", b"\0")
    for command, literals, code in [
        ("APPEND Taslaklar {} ~{}", (good, with_nul), "[UNKNOWN-CTE]"),
        ("APPEND Taslaklar ~{} {}", (with_nul, good), "[UNKNOWN-CTE]"),
        ("APPEND Taslaklar {} {}", (good, with_nul), "[CANNOT]"),
    ]:
        text = client.no(command, *literals)
        assert text.startswith(code), (command, text)
    text = client.no("APPEND \"Giden Kutusu\" {} {}", *two)
    assert text.startswith("[CANNOT]"), text
    client.has("STATUS Taslaklar (MESSAGES UIDNEXT)", "(MESSAGES 2 UIDNEXT 3)")
    # A literal8 without NULs is a message like any other; several of one Message-ID are versions of one draft.
    status, text, _ = client.say("APPEND Taslaklar ~{}", DRAFT % (b"g", "ş".encode()))
    assert status == "OK" and "[APPENDUID " in text, text
    client.ok("APPEND Taslaklar {} {} {}", *(DRAFT % (b"h", n) for n in (b"1", b"2", b"3")))
    client.ok("NOOP")
    client.has("STATUS Taslaklar (MESSAGES)", "(MESSAGES 4)")
    assert client.fetch("4", "BODY.PEEK[TEXT]")["BODY[TEXT]"] == b"3\r\n"
    # UTF8 (RFC 6855 4).
    status, text, _ = client.say("APPEND Taslaklar UTF8 (~{})", DRAFT % (b"i", "ş".encode()))
    assert status == "OK", text


def last_refused(client, command, literal):
    """The last literal is announced and never sent: it is refused before."""
    client.tag += 1
    head, tail = command.split("{}", 1)
    octets = b"t%d %s{%d+}\r\n%s%s\r\n" % (client.tag, head.encode(), len(literal), literal, tail.encode())
    client.socket.sendall(octets)
    line = client.line()[0].decode()
    assert line.startswith("t%d NO " % client.tag), line
    return line.split(" NO ", 1)[1]


def revision_two():
    """IMAP4rev2, object ids, UTF-8, \\Recent."""
    client = Client()
    assert b" LITERAL- " in client.greeting[0] and b"IMAP4rev2" in client.greeting[0], client.greeting
    # SASL-IR.
    plain = base64.b64encode(b"\0mudur@ornekas\0" + password.encode()).decode()
    status, text, _ = client.say("AUTHENTICATE PLAIN " + plain)
    assert status == "OK" and " LITERAL+ " in text, text
    for word in "BINARY PREVIEW OBJECTID SAVEDATE MULTIAPPEND UTF8=ACCEPT STATUS=SIZE UIDPLUS MOVE UNSELECT NAMESPACE".split():
        assert word in text.replace("]", " ").split(), (word, text)
    # A second session of the same user is told second.
    client.has("STATUS INBOX (RECENT)", "(RECENT 1)")
    client.has("EXAMINE INBOX", "1 RECENT")
    client.has("STATUS INBOX (RECENT)", "(RECENT 1)")
    client.has("SELECT INBOX", "1 RECENT")
    assert "\\Recent" in client.fetch(1, "FLAGS")["FLAGS"]
    assert client.ok("SEARCH NEW")[0][0] == b"* SEARCH 1" and client.ok("SEARCH OLD")[0][0] == b"* SEARCH"
    second = Client("mudur@ornekas")
    second.has("SELECT INBOX", "0 RECENT")
    assert "\\Recent" not in second.fetch(1, "FLAGS")["FLAGS"]
    client.has("STATUS INBOX (RECENT)", "(RECENT 0)")
    # The subject is UTF-8 in the header: encoded words for who reads no other.
    words = client.fetch(1, "ENVELOPE")["ENVELOPE"][1]
    assert b"".join(t.encode() if isinstance(t, str) else t for t, _ in email.header.decode_header(words.decode())).decode() == "Işık çok", words
    client.ok("UNSELECT")
    lines = [l[0] for l in client.ok("ENABLE IMAP4rev2 UTF8=ACCEPT")]
    assert lines == [b"* ENABLED IMAP4rev2 UTF8=ACCEPT"], lines
    lines = [l[0] for l in client.ok("SELECT INBOX")]
    assert b'* LIST () "/" "INBOX"' in lines and not any(b"RECENT" in l or b"UNSEEN" in l for l in lines), lines
    box = next(re.search(rb"\[MAILBOXID \((F[A-Za-z0-9_-]+)\)\]", l) for l in lines if b"MAILBOXID" in l).group(1)
    assert client.fetch(1, "ENVELOPE")["ENVELOPE"][1].decode() == "Işık çok"
    assert client.ok("SEARCH ALL")[0][0].endswith(b" ALL 1")
    ids = client.fetch(1, "EMAILID THREADID")
    # The same mail in another mailbox has the same id; a mailbox keeps its own when it is renamed.
    status, text, _ = client.say('CREATE "Etiketler/Işıl"')
    made = re.search(r"\[MAILBOXID \((\S+)\)\]", text).group(1)
    assert status == "OK" and made != box.decode(), text
    assert "[COPYUID " in client.say('COPY 1 "Etiketler/Işıl"')[1]
    client.ok('RENAME "Etiketler/Işıl" "Etiketler/Öbür"')
    client.has('STATUS "Etiketler/Öbür" (MAILBOXID MESSAGES)', f"MAILBOXID ({made})")
    lines = [l[0] for l in client.ok('SELECT "Etiketler/Öbür"')]
    assert any(l.startswith(b"* OK [CLOSED]") for l in lines), lines
    assert client.fetch(1, "EMAILID THREADID") == ids
    assert client.no("DELETE Etiketler").startswith("[HASCHILDREN]")
    assert client.no("DELETE INBOX").startswith("[CANNOT]")
    assert client.no('SEARCH CHARSET KOI8-R SUBJECT "x"').startswith("[BADCHARSET")
    client.ok("CLOSE")
    client.has('LIST "" "Etiketler/Ö*" RETURN (CHILDREN STATUS (MESSAGES SIZE DELETED))', "SIZE ")
    client.ok("LOGOUT")


{"corpus": the_corpus, "reading": reading, "appending": appending, "rev2": revision_two}[case]()
print("all held")
