"""What an office does with its mail, with imaplib and smtplib: PORT_IMAP PORT_SUBMISSION CA CASE."""
import imaplib
import re
import smtplib
import ssl
import sys

from client_words import name, ok

imap, submission, ca, case = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
imaplib.Commands["REPLACE"] = ("SELECTED",)
imaplib.Commands["MOVE"] = ("SELECTED",)
ALL, SENT, DRAFTS, BIN = "Tüm Postalar", "Giden Kutusu", "Taslaklar", "Çöp Kutusu"
IMPORTANT, ARCHIVE, EVIDENCE = "Önemli", "Arşiv", "Deliller"


def login(user):
    client = imaplib.IMAP4_SSL("localhost", imap, ssl_context=context)
    client.login(f"{user}@ornekas", f"{user}-parola")
    return client


def message(subject, number, to="alici@hs02.kep.test"):
    return (f"From: ornekas@hs01.kep.test\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{number}@hs01.kep.test>\r\n"
            f"Date: Wed, 4 Nov 2026 10:00:00 +0300\r\n\r\nmetin {subject}\r\n").encode()


def submit(user, octets, to="alici@hs02.kep.test"):
    with smtplib.SMTP_SSL("localhost", submission, context=context) as smtp:
        smtp.login(f"{user}@ornekas", f"{user}-parola")
        smtp.sendmail("ornekas@hs01.kep.test", [to], octets)


def subjects(client, box):
    """UID by subject, of all that stands in a mailbox. Several of one subject are an error."""
    count = int(ok(client.select(name(box)))[0])
    if not count:
        return {}
    found = {}
    for row in ok(client.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")):
        if isinstance(row, tuple):
            subject = row[1].decode().partition(":")[2].strip()
            assert subject not in found, (box, subject)
            found[subject] = re.search(rb"UID (\d+)", row[0]).group(1).decode()
    assert len(found) == count, (box, found, count)
    return found


def flags(client, uid):
    return ok(client.uid("FETCH", uid, "(FLAGS)"))[0]


def special(client, box):
    lines = [line for line in ok(client.list()) if line.endswith(name(box).encode())]
    assert len(lines) == 1, (box, lines)
    return lines[0]


def everything():
    """All mail and jobs in one list, and each opened from there."""
    c, a, o = login("mudur"), login("ayse"), login("onay1")
    assert b"\\All" in special(c, ALL)
    ok(a.append(DRAFTS, None, None, message("Taslak 1", "t1")))
    ok(c.append(DRAFTS, None, None, message("Kendi taslagim", "t2")))
    there = subjects(c, ALL)
    assert set(there) == {"Gelen 1", "Gelen 2", "Teklif 1", "Duyuru", "Kendi taslagim"}, there
    for subject, uid in there.items():
        rows = ok(c.uid("FETCH", uid, "(RFC822.SIZE BODY[])"))
        size = int(re.search(rb"RFC822.SIZE (\d+)", rows[0][0]).group(1))
        assert len(rows[0][1]) == size and subject.encode() in rows[0][1], rows
        assert b"\\Seen" in flags(c, uid), subject
    # Each stands where it belongs, too, as the same message: seen there.
    for box, subject in [("INBOX", "Gelen 1"), (SENT, "Duyuru"), (SENT, "Teklif 1"), (DRAFTS, "Kendi taslagim")]:
        assert b"\\Seen" in flags(c, subjects(c, box)[subject]), box
    # Evidence has a mailbox of its own; what is archived is mail all the same, what is in the bin is not.
    assert int(ok(c.select(EVIDENCE))[0]) > 0
    there = subjects(c, ALL)
    ok(c.uid("MOVE", there["Gelen 1"], name(ARCHIVE)))
    ok(c.uid("MOVE", there["Gelen 2"], name(BIN)))
    assert set(subjects(c, ALL)) == {"Gelen 1", "Teklif 1", "Duyuru", "Kendi taslagim"}
    # A limited user's list is what he may see; what is his own is in it, words to him too, and nobody else's draft.
    there = subjects(a, ALL)
    assert set(there) == {"Teklif 1", "Taslak 1", "Re: [Onay bekliyor 1/2] Teklif 1"}, there
    # A job is decided from the list.
    uid = subjects(o, ALL)["Teklif 1"]
    assert "Teklif 1" in subjects(o, "İşlerim/Bekleyen")
    ok(o.select(name(ALL)))
    ok(o.uid("COPY", uid, name("İşlerim/Onayla")))
    assert "Teklif 1" not in subjects(o, "İşlerim/Bekleyen")
    assert "Teklif 1" in subjects(login("onay2"), "İşlerim/Bekleyen")


def important():
    """Marked by a flag or by a keyword, shown in one mailbox, each user's own."""
    c = login("mudur")
    assert b"\\Flagged" in special(c, IMPORTANT)
    there = subjects(c, "INBOX")
    permanent = c.response("PERMANENTFLAGS")[1][0]
    assert b"$Important" in permanent and b"\\Flagged" in permanent, permanent
    ok(c.uid("STORE", there["Gelen 1"], "+FLAGS", "(\\Flagged)"))
    ok(c.uid("STORE", there["Gelen 2"], "+FLAGS", "($important)"))
    assert ok(c.uid("SEARCH", "KEYWORD", "$Important"))[0].split() == [there["Gelen 2"].encode()]
    found = subjects(c, IMPORTANT)
    assert set(found) == {"Gelen 1", "Gelen 2"}, found
    assert subjects(login("onay2"), IMPORTANT) == {}
    # Taken away where it was set: it leaves.
    ok(c.select("INBOX"))
    ok(c.uid("STORE", there["Gelen 2"], "-FLAGS", "($Important)"))
    assert set(subjects(c, IMPORTANT)) == {"Gelen 1"}
    # Copied in, it is flagged; moved out, or expunged there, it loses both words and stays where it was.
    ok(c.select("INBOX"))
    ok(c.uid("STORE", there["Gelen 2"], "+FLAGS", "($Important)"))
    ok(c.uid("COPY", there["Gelen 2"], name(IMPORTANT)))
    assert b"\\Flagged" in flags(c, there["Gelen 2"])
    found = subjects(c, IMPORTANT)
    ok(c.uid("MOVE", found["Gelen 2"], "INBOX"))
    ok(c.uid("STORE", found["Gelen 1"], "+FLAGS", "(\\Deleted $Important)"))
    ok(c.expunge())
    assert subjects(c, IMPORTANT) == {}
    there = subjects(c, "INBOX")
    assert set(there) == {"Gelen 1", "Gelen 2"}
    for uid in there.values():
        assert b"Flagged" not in flags(c, uid) and b"mportant" not in flags(c, uid), flags(c, uid)


def drafts():
    """Listed, edited, cancelled, sent by submission, by moving to a flow, by moving to where it is sent."""
    c, a = login("mudur"), login("ayse")
    assert b"\\Drafts" in special(c, DRAFTS)
    for number in range(1, 6):
        ok(c.append(DRAFTS, "(\\Draft \\Seen)", None, message(f"Mektup {number}", f"m{number}")))
    there = subjects(c, DRAFTS)
    assert set(there) == {f"Mektup {n}" for n in range(1, 6)}, there
    assert all(b"\\Draft" in flags(c, uid) for uid in there.values())
    # Edited: a newer one in its place, by one command or by two.
    c.literal = message("Mektup 1 duzeltildi", "m1")
    ok(c.uid("REPLACE", there["Mektup 1"], DRAFTS, "(\\Draft)"))
    ok(c.append(DRAFTS, "(\\Draft)", None, message("Mektup 2 duzeltildi", "m2x")))
    ok(c.uid("STORE", there["Mektup 2"], "+FLAGS.SILENT", "(\\Deleted)"))
    ok(c.uid("EXPUNGE", there["Mektup 2"]))
    there = subjects(c, DRAFTS)
    want = {"Mektup 1 duzeltildi", "Mektup 2 duzeltildi", "Mektup 3", "Mektup 4", "Mektup 5"}
    assert set(there) == want, there
    text = ok(c.uid("FETCH", there["Mektup 1 duzeltildi"], "(BODY.PEEK[TEXT])"))[0][1]
    assert text == b"metin Mektup 1 duzeltildi\r\n", text
    # Cancelled: expunged it is gone; in the bin it can be had back.
    ok(c.uid("STORE", there["Mektup 5"], "+FLAGS", "(\\Deleted)"))
    ok(c.expunge())
    ok(c.uid("MOVE", there["Mektup 4"], name(BIN)))
    assert set(subjects(c, DRAFTS)) == want - {"Mektup 4", "Mektup 5"}
    binned = subjects(c, BIN)
    assert set(binned) == {"Mektup 4"}, binned
    ok(c.uid("MOVE", binned["Mektup 4"], DRAFTS))
    there = subjects(c, DRAFTS)
    assert set(there) == want - {"Mektup 5"}, there
    # Sent by submission, as clients do: handed in, copied to where sent mail stands, the draft expunged.
    octets = ok(c.uid("FETCH", there["Mektup 3"], "(BODY.PEEK[])"))[0][1]
    submit("mudur", octets)
    ok(c.append(name(SENT), "(\\Seen)", None, octets))
    ok(c.uid("STORE", there["Mektup 3"], "+FLAGS.SILENT", "(\\Deleted)"))
    ok(c.uid("EXPUNGE", there["Mektup 3"]))
    assert "Mektup 3" in subjects(c, SENT) and "Mektup 3" not in subjects(c, DRAFTS)
    # Sent by moving it: an officer's at once, a limited user's not.
    there = subjects(c, DRAFTS)
    ok(c.uid("MOVE", there["Mektup 4"], name("İşlerim/Gönder")))
    assert "Mektup 4" in subjects(c, SENT) and "Mektup 4" not in subjects(c, DRAFTS)
    for number in (7, 8):
        ok(a.append(DRAFTS, None, None, message(f"Teklif {number}", f"a{number}")))
    there = subjects(a, DRAFTS)
    assert b"[NOPERM]" in ok(a.uid("MOVE", there["Teklif 7"], name("İşlerim/Gönder")), "NO")[0]
    ok(a.uid("MOVE", there["Teklif 7"], name("İş Akışları/Teklif")))
    assert set(subjects(a, DRAFTS)) == {"Teklif 8"}
    assert "Teklif 7" in subjects(a, "İşlerim/Başkasında Bekleyen")
    submit("ayse", message("Teklif 8", "a8"))
    assert "Teklif 8" in subjects(a, "İşlerim/Başkasında Bekleyen")
    # Nobody sees another's drafts, and none is anywhere else.
    assert not set(subjects(c, ALL)) & {"Teklif 9", "Mektup 5"}


def binned():
    """Thrown away and had back; what is on the legal record cannot be destroyed."""
    c = login("mudur")
    assert b"\\Trash" in special(c, BIN)
    ok(c.append(DRAFTS, None, None, message("Taslak", "b1")))
    ok(c.append(DRAFTS, None, None, message("Kalan taslak", "b2")))
    there = subjects(c, "INBOX")
    ok(c.uid("MOVE", there["Gelen 1"], name(BIN)))
    ok(c.uid("STORE", there["Gelen 2"], "+FLAGS", "(\\Deleted)"))
    ok(c.expunge())
    ok(c.uid("MOVE", subjects(c, SENT)["Duyuru"], name(BIN)))
    there = subjects(c, DRAFTS)
    ok(c.uid("MOVE", f'{there["Taslak"]},{there["Kalan taslak"]}', name(BIN)))
    found = subjects(c, BIN)
    assert set(found) == {"Gelen 1", "Gelen 2", "Duyuru", "Taslak", "Kalan taslak"}, found
    assert subjects(c, "INBOX") == {} and subjects(c, DRAFTS) == {}
    # Had back by moving it out: where it was, with what was marked on it.
    ok(c.select(name(BIN)))
    ok(c.uid("STORE", found["Gelen 2"], "+FLAGS", "(\\Flagged)"))
    ok(c.uid("MOVE", found["Gelen 2"], "INBOX"))
    ok(c.uid("MOVE", found["Duyuru"], name(SENT)))
    there = subjects(c, "INBOX")
    assert set(there) == {"Gelen 2"} and b"\\Flagged" in flags(c, there["Gelen 2"])
    assert set(subjects(c, SENT)) == {"Duyuru", "Teklif 1"}
    # It belongs where it came from: nowhere else can it be put back.
    found = subjects(c, BIN)
    assert b"[CANNOT]" in ok(c.uid("MOVE", found["Gelen 1"], name(SENT)), "NO")[0]
    # Expunged in the bin, a mail stays and the refusal says why.
    ok(c.uid("STORE", found["Gelen 1"], "+FLAGS", "(\\Deleted)"))
    assert b"legal record" in ok(c.expunge(), "NO")[0]
    ok(c.uid("STORE", found["Gelen 1"], "-FLAGS", "(\\Deleted)"))
    assert set(subjects(c, BIN)) == {"Gelen 1", "Taslak", "Kalan taslak"}


def month_later():
    """The bin has emptied itself of what may be destroyed; one draft was taken out in time."""
    c = login("mudur")
    assert set(subjects(c, BIN)) == {"Gelen 1"}
    assert set(subjects(c, DRAFTS)) == {"Kalan taslak"}
    found = subjects(c, BIN)
    ok(c.uid("MOVE", found["Gelen 1"], "INBOX"))
    assert set(subjects(c, "INBOX")) == {"Gelen 1", "Gelen 2"}


def taken_out():
    c = login("mudur")
    ok(c.uid("MOVE", subjects(c, BIN)["Kalan taslak"], DRAFTS))


{"all": everything, "important": important, "drafts": drafts, "bin": binned,
 "taken-out": taken_out, "month-later": month_later}[case]()
print("all held")
