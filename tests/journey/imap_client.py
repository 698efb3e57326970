"""Drives the mailbox door with imaplib: PORT_TLS PORT_CLEAR CA PASSWORD."""
import base64
import hashlib
import hmac
import imaplib
import socket
import ssl
import sys
import threading

from client_words import name, ok

tls, clear, ca, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)


def login(user):
    client = imaplib.IMAP4_SSL("localhost", tls, ssl_context=context)
    client.login(user, password)
    return client


# Before login: nothing works, and in the clear there is no login at all.
plain = imaplib.IMAP4("localhost", clear)
assert "LOGINDISABLED" in plain.capabilities, plain.capabilities
try:
    plain.login("mudur@ornekas", password)
    raise AssertionError("login in the clear")
except imaplib.IMAP4.error:
    pass
plain.starttls(context)
plain.login("mudur@ornekas", password)
ok(plain.select("INBOX"))
plain.logout()

try:
    imaplib.IMAP4_SSL("localhost", tls, ssl_context=context).login("mudur@ornekas", "yanlis kelime")
    raise AssertionError("wrong password")
except imaplib.IMAP4.error as e:
    assert "AUTHENTICATIONFAILED" in str(e), e

# The SASL mechanisms; an unknown login is told no sooner than a wrong password.
p = imaplib.IMAP4_SSL("localhost", tls, ssl_context=context)
ok(p.authenticate("PLAIN", lambda _: b"\0mudur@ornekas\0" + password.encode()))
p.logout()


def scram(login):
    """RFC 5802 and RFC 7677, by hand."""
    step = []

    def answer(challenge):
        step.append(challenge)
        first = b"n=" + login.encode() + b",r=abcdefgh"
        if len(step) == 1:
            return b"n,," + first
        if len(step) == 2:
            got = dict(f.split(b"=", 1) for f in challenge.split(b","))
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(got[b"s"]), int(got[b"i"]))
            sign = lambda key, text: hmac.new(key, text, "sha256").digest()
            key = sign(salted, b"Client Key")
            final = b"c=biws,r=" + got[b"r"]
            said = b",".join((first, challenge, final))
            proof = bytes(a ^ b for a, b in zip(key, sign(hashlib.sha256(key).digest(), said)))
            step.append(b"v=" + base64.b64encode(sign(sign(salted, b"Server Key"), said)))
            return final + b",p=" + base64.b64encode(proof)
        assert challenge == step[2], "the server's signature"
        return b""

    client = imaplib.IMAP4_SSL("localhost", tls, ssl_context=context)
    try:
        return client, client.authenticate("SCRAM-SHA-256", answer)
    except imaplib.IMAP4.error as error:
        return client, error


s, said = scram("ayse@ornekas")
ok(said)
s.logout()
s, said = scram("kimse@ornekas")
assert "AUTHENTICATIONFAILED" in str(said), said
s.logout()

c = login("mudur@ornekas")
listed = b"\n".join(line for line in ok(c.list()) if line)
for box, mark in [("Giden Kutusu", b"\\Sent"), ("Taslaklar", b"\\Drafts"), ("Çöp Kutusu", b"\\Trash"),
                  ("Arşiv", b"\\Archive \\Noinferiors"),
                  ("Etiketler/Finans", b""), ("İşlerim/Onayla", b""), ("İşlerim", b"\\Noselect"),
                  ("Birimler/Mali İşler", b""), ("İş Akışları/Teklif", b"")]:
    lines = [l for l in listed.split(b"\n") if l.endswith(name(box).encode())]
    assert lines and mark in lines[0], (box, listed)
ok(c.select(name("İşlerim")), "NO")

assert ok(c.select("INBOX")) == [b"4"]
validity = c.response("UIDVALIDITY")[1][0]
rows = ok(c.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"))
assert len(rows) == 4 and b"alici" in rows[0] and b"a.pdf" in rows[0], rows
header = ok(c.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1]
assert header.startswith(b"Subject: =?UTF-8?Q?") and header.endswith(b"\r\n\r\n"), header
assert ok(c.fetch("1", "(BODY.PEEK[1.MIME])"))[0][1].startswith(b"Content-Type: text/plain")

# Reading content: one section, twice, and with it \Seen; the big one whole.
body = ok(c.fetch("1", "(BODY[1])"))
assert "Merhaba DÜNYA 0".encode() in body[0][1], body
ok(c.fetch("1", "(BODY.PEEK[])"))
assert b"\\Seen" in ok(c.fetch("1", "(FLAGS)"))[0]
big = ok(c.fetch("4", "(BODY.PEEK[])"))[0][1]
assert len(big) == len(b"From: a@hs02.kep.test\r\nSubject: big\r\n\r\n") + 18 * 300000, len(big)
part = ok(c.fetch("4", "(BODY.PEEK[]<41.20>)"))[0][1]
assert part == big[41:61], part


def search(*criteria, charset=None):
    return ok(c.uid("SEARCH", *(("CHARSET", charset) if charset else ()), *criteria))[0].split()


def search_text(key, text):
    c.literal = text.encode()
    return ok(c.uid("SEARCH", "CHARSET", "UTF-8", key))[0].split()


assert search("SEEN") == [b"1"] and search("UNSEEN") == [b"2", b"3", b"4"]
assert search("SUBJECT", "big") == [b"4"] and search("LARGER", "100000") == [b"4"]
assert search("FROM", '"hs02"', "NOT", "UID", "2") == [b"1", b"3", b"4"]
assert search("SENTON", "4-Nov-2026") == [b"1", b"2", b"3"]
assert search("OR", "UID", "1", "UID", "3") == [b"1", b"3"]
# The text of a mail is searched once it has been read, its header always.
assert search_text("BODY", "dünya 0") == [b"1"] and search_text("BODY", "dünya 1") == []
assert search_text("SUBJECT", "ihale ışık 2") == [b"3"]
assert search_text("TEXT", "MERHABA") == [b"1"] and search_text("TEXT", "IŞIK") == [b"1", b"2", b"3"]
assert search("HEADER", "Message-ID", "in1@") == [b"2"]
# Order and threads: three mails differ by a digit; the big one has no date and came last.
assert ok(c.sort("SUBJECT", "UTF-8", "ALL")) == [b"4 1 2 3"]
assert ok(c.uid("SORT", "(REVERSE SIZE)", "UTF-8", "ALL")) == [b"4 1 2 3"]
assert ok(c.thread("REFERENCES", "UTF-8", "ALL")) == [b"(1)(2)(3)(4)"]

# Flags and keywords; a label is a keyword.
ok(c.uid("STORE", "2", "+FLAGS", "(\\Flagged benim Finans)"))
flags = ok(c.uid("FETCH", "2", "(FLAGS)"))[0]
assert b"\\Flagged" in flags and b"benim" in flags and b"Finans" in flags, flags
assert ok(c.uid("STORE", "2", "+FLAGS", "($KepOkundu)"), "NO")[0].startswith(b"[CANNOT]")
assert b"nothing to decide" in ok(c.uid("STORE", "2", "+FLAGS", "($KepOnay)"), "NO")[0]
assert ok(c.select(name("Etiketler/Finans"))) == [b"1"]
assert ok(c.select(name("Önemli"))) == [b"1"]
assert ok(c.select(name("Birimler/Mali İşler"))) == [b"1"]

# Copy adds a label, expunge there takes it away; the mail stays in INBOX.
ok(c.select("INBOX"))
assert c.response("UIDVALIDITY")[1][0] == validity
copied = ok(c.uid("COPY", "3", name("Etiketler/Acil")))
assert b"COPYUID" in (c.response("COPYUID")[0] or "").encode() + repr(copied).encode(), copied
ok(c.select(name("Etiketler/Acil")))
ok(c.store("1", "+FLAGS", "(\\Deleted)"))
assert ok(c.expunge()) == [b"1"]
assert ok(c.select("INBOX")) == [b"4"]

# Move: to the archive and back, with a new UID; to the bin, where it stays.
ok(c.uid("MOVE", "3", name("Arşiv")))
assert search("ALL") == [b"1", b"2", b"4"]
assert ok(c.select(name("Arşiv"))) == [b"1"]
ok(c.uid("MOVE", "1", "INBOX"))
ok(c.select("INBOX"))
assert search("ALL") == [b"1", b"2", b"4", b"5"]
ok(c.uid("STORE", "5", "+FLAGS", "(\\Deleted)"))
ok(c.expunge())
assert ok(c.select(name("Çöp Kutusu"))) == [b"1"]
ok(c.store("1", "+FLAGS", "(\\Deleted)"))
assert b"legal record" in ok(c.expunge(), "NO")[0]
assert ok(c.select(name("Çöp Kutusu"))) == [b"1"]

# A move that cannot be is refused with a reason.
ok(c.select("INBOX"))
assert b"[CANNOT]" in ok(c.uid("MOVE", "1", name("İşlerim/Onayla")), "NO")[0]
assert b"[TRYCREATE]" in ok(c.uid("COPY", "1", '"nowhere"'), "NO")[0]
assert search("ALL") == [b"1", b"2", b"4"]

# Labels are made and removed as mailboxes.
ok(c.create(name("Etiketler/Yeni")))
assert b"[ALREADYEXISTS]" in ok(c.create(name("Etiketler/Yeni")), "NO")[0]
ok(c.create('"Bir klasor"'), "NO")
ok(c.delete(name("Etiketler/Yeni")))
ok(c.delete(name("Çöp Kutusu")), "NO")

# A limited user writes a draft and starts a flow with it; the approver decides by moving, the officer releases.
draft = ("From: ornekas@hs01.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: Teklif 7\r\n"
         "Message-ID: <taslak@hs01.kep.test>\r\nDate: Wed, 4 Nov 2026 10:00:00 +0300\r\n\r\nTeklifimiz ektedir.\r\n").encode()
a = login("ayse@ornekas")
ok(a.append("INBOX", None, None, draft), "NO")
said = ok(a.append("Taslaklar", "(\\Seen)", None, draft))[0]
assert b"[APPENDUID " in said, said
assert ok(a.append(name("Giden Kutusu"), None, None, draft), "NO")[0].startswith(b"[CANNOT]")
assert ok(a.select("Taslaklar")) == [b"1"]
assert b"\\Draft" in ok(a.fetch("1", "(FLAGS)"))[0]
assert ok(c.select("Taslaklar")) == [b"0"], "a draft is its author's alone"
# A view that his rights do not give him is there for others, not for him.
assert ok(a.uid("MOVE", "1", name("İşlerim/Gönder")), "NO")[0].startswith(b"[NOPERM]")
assert ok(a.append(name("İş Akışları/Yok"), None, None, draft), "NO")[0].startswith(b"[NONEXISTENT]")
assert ok(a.append(name("Etiketler/Yok"), None, None, draft), "NO")[0].startswith(b"[TRYCREATE]")
ok(a.uid("MOVE", "1", name("İş Akışları/Teklif")))
assert ok(a.select("Taslaklar")) == [b"0"]
said = ok(a.append(name("Giden Kutusu"), "(\\Seen)", None, draft))[0]
assert b"[APPENDUID " in said, said
assert ok(a.select(name("Giden Kutusu"))) == [b"1"], "recognised, not doubled"
assert ok(a.select(name("İşlerim/Başkasında Bekleyen"))) == [b"1"]
o = login("onay1@ornekas")
assert ok(o.select(name("İşlerim/Bekleyen"))) == [b"1"]
ok(o.uid("MOVE", "1", name("İşlerim/Onayla")))
assert ok(o.select(name("İşlerim/Bekleyen"))) == [b"0"]
assert ok(c.select(name("İşlerim/Gönderime Hazır"))) == [b"1"]

# Keywords decide too: one mail is approved that way, the next is rejected.
for number, word, ended in (("8", "$KepOnay", "İşlerim/Gönderime Hazır"), ("9", "$KepRet", "İşlerim/Biten")):
    another = draft.replace(b"Teklif 7", b"Teklif " + number.encode()).replace(b"<taslak@", b"<taslak" + number.encode() + b"@")
    ok(a.append("Taslaklar", None, None, another))
    assert ok(a.select("Taslaklar")) == [b"1"]
    ok(a.uid("MOVE", "*", name("İş Akışları/Teklif")))
    before = int(ok(c.select(name(ended)))[0])
    assert ok(o.select(name("İşlerim/Bekleyen"))) == [b"1"]
    ok(o.uid("STORE", "*", "+FLAGS", f"({word})"))
    assert ok(o.select(name("İşlerim/Bekleyen"))) == [b"0"]
    assert int(ok(c.select(name(ended)))[0]) == before + 1, (word, ended)

assert ok(c.select(name("İşlerim/Gönderime Hazır"))) == [b"2"]

# IDLE: what another session does is told at once.
raw = context.wrap_socket(socket.create_connection(("localhost", tls)), server_hostname="localhost")
lines = raw.makefile("rb")
lines.readline()


def say(text, until):
    raw.sendall(text.encode() + b"\r\n")
    got = []
    while True:
        got.append(lines.readline())
        assert got[-1], got
        if got[-1].startswith(until):
            return got


say('a LOGIN muavin@ornekas "%s"' % password, b"a OK")
say("b SELECT " + name("İşlerim/Gönderime Hazır"), b"b OK")
say("c IDLE", b"+ ")
raw.settimeout(20)
mover = threading.Thread(target=lambda: ok(c.uid("MOVE", "1", name("İşlerim/Gönder"))))
mover.start()
assert lines.readline() == b"* 1 EXPUNGE\r\n"
mover.join()
raw.sendall(b"DONE\r\n")
while not lines.readline().startswith(b"c OK"):
    pass
raw.close()

assert ok(c.select(name("İşlerim/Biten"))) == [b"2"], "one rejected, one released"
status = ok(c.status("INBOX", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"))[0]
assert b"MESSAGES 3" in status and b"UNSEEN 2" in status, status
ok(c.noop())
for client in (a, o, c):
    client.logout()
print("all held")
