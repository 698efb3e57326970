"""Saves drafts as clients do, with imaplib: PORT_TLS CA PASSWORD."""
import imaplib
import ssl
import sys

tls, ca, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=ca)
imaplib.Commands["REPLACE"] = ("SELECTED",)


def ok(answer, want="OK"):
    status, data = answer
    assert status == want, (status, data)
    return data


def message(subject, number, message_id):
    return (f"From: ornekas@hs01.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: {subject}\r\n"
            f"Message-ID: <{message_id}@hs01.kep.test>\r\n\r\nkayit {number}\r\n").encode()


def uids(client, *criteria):
    return ok(client.uid("SEARCH", *(criteria or ("ALL",))))[0].split()


def replace(client, uid, mailbox, octets, flags="(\\Draft)"):
    client.literal = octets
    return client.uid("REPLACE", uid, mailbox, flags)


c = imaplib.IMAP4_SSL("localhost", tls, ssl_context=context)
c.login("ayse@ornekas", password)
assert b"REPLACE" in ok(c.capability())[0].split()
ok(c.select("Taslaklar"))

# A client that gives each save another Message-ID and expunges the one before.
old = None
for n in range(1, 6):
    ok(c.append("Taslaklar", "(\\Draft \\Seen)", None, message("Bir", n, f"bir{n}")))
    ok(c.noop())
    new = uids(c)[-1]
    if old:
        ok(c.uid("STORE", old, "+FLAGS.SILENT", "(\\Deleted)"))
        ok(c.expunge())
    old = new
assert uids(c) == [old], uids(c)
flags = ok(c.uid("FETCH", old, "(FLAGS)"))[0]
assert b"\\Seen" in flags and b"\\Draft" in flags, flags

# One that keeps the Message-ID: the older one is gone before it is expunged, which then does no harm.
ok(c.append("Taslaklar", None, None, message("Iki", 1, "iki")))
ok(c.noop())
before = uids(c, "SUBJECT", "Iki")[0]
ok(c.append("Taslaklar", None, None, message("Iki degisti", 2, "iki")))
ok(c.noop())
ok(c.uid("STORE", before, "+FLAGS.SILENT", "(\\Deleted)"))
ok(c.uid("EXPUNGE", before))
assert len(uids(c, "SUBJECT", "Iki")) == 1 and len(uids(c)) == 2, uids(c)

# UID REPLACE, four times.
ok(c.append("Taslaklar", None, None, message("Uc", 1, "uc1")))
ok(c.noop())
for n in range(2, 6):
    last = uids(c, "SUBJECT", "Uc")
    assert len(last) == 1, last
    ok(replace(c, last[0], "Taslaklar", message("Uc", n, f"uc{n}")))
    assert c.response("APPENDUID")[1] != [None], "APPENDUID in an untagged OK"
last = uids(c, "SUBJECT", "Uc")
assert len(last) == 1 and len(uids(c)) == 3, uids(c)
assert b"kayit 5" in ok(c.uid("FETCH", last[0], "(BODY.PEEK[])"))[0][1]

# What cannot be replaced: where nothing may be brought, what is not there, what is no draft of hers.
assert b"[CANNOT]" in ok(replace(c, last[0], "INBOX", message("Uc", 6, "uc6")), "NO")[0]
assert b"[NONEXISTENT]" in ok(replace(c, b"999", "Taslaklar", message("Uc", 6, "uc6")), "NO")[0]
assert b"[TRYCREATE]" in ok(replace(c, last[0], "Etiketler/Yok", message("Uc", 6, "uc6")), "NO")[0]
assert uids(c, "SUBJECT", "Uc") == last
ok(c.select("Taslaklar", readonly=True))
assert b"reading only" in ok(replace(c, last[0], "Taslaklar", message("Uc", 6, "uc6")), "NO")[0]
c.logout()

# Who may read and not write brings no draft, and a mail that came in is not replaced by anything in INBOX.
m = imaplib.IMAP4_SSL("localhost", tls, ssl_context=context)
m.login("mudur@ornekas", password)
ok(m.select("INBOX"))
assert b"[CANNOT]" in ok(replace(m, b"1", "INBOX", message("x", 1, "x")), "NO")[0]
assert uids(m) == [b"1"]
m.logout()
print("all held")
