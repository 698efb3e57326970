"""Python's imaplib, as a script would use it: the day of an officer, from the draft to the evidence.

The protocol itself is tried with imaplib in the project's test suite; here it is the whole house behind it.
"""
import socket
import sys

from house import equal, expect, ok, quoted, subject_of, utf7


def version():
    return f"imaplib ({sys.version.split()[0]})"


def fetch_one(client, uid, what):
    return ok(client.uid("FETCH", uid, what))[0]


def search(client, *criteria):
    return ok(client.uid("SEARCH", *criteria))[0].split()


def idle(client, happens):
    """Idles until the server speaks by itself; gives what it said."""
    tag = client._new_tag()
    client.send(tag + b" IDLE\r\n")
    expect(client.readline().startswith(b"+"), "IDLE is not taken")
    happens()
    client.sock.settimeout(60)
    try:
        said = client.readline()
        while b"EXISTS" not in said:
            said = client.readline()
    except socket.timeout:
        expect(False, "nothing was announced in 60 s")
    client.send(b"DONE\r\n")
    while not client.readline().startswith(tag):
        pass
    client.sock.settimeout(None)
    return said


def labels(house, client, me):
    """A label is a folder and a keyword, from either side."""
    ok(client.create(quoted("Etiketler/Şubat Ödemesi")))
    equal([l["keyword"] for l in house.kepctl("label", "list", "user7")], ["Subat_Odemesi"], "labels")
    ok(client.select("INBOX"))
    uid = search(client, "ALL")[0]
    ok(client.uid("STORE", uid, "+FLAGS", "(Subat_Odemesi)"))
    equal(len(house.listed(me, "Etiketler/Şubat Ödemesi")), 1, "mails of the label")
    ok(client.uid("STORE", uid, "-FLAGS", "(SUBAT_ODEMESI)"))
    equal(len(house.listed(me, "Etiketler/Şubat Ödemesi")), 0, "mails of the label, taken off in another spelling")
    copied = ok(client.uid("COPY", uid, quoted("Etiketler/Şubat Ödemesi")))
    expect(b"Subat_Odemesi" in fetch_one(client, uid, "(FLAGS)"), "a label as a keyword")
    ok(client.select("INBOX"))
    expect(b"Subat_Odemesi" in client.response("PERMANENTFLAGS")[1][0], "a label among PERMANENTFLAGS")
    ok(client.rename(quoted("Etiketler/Şubat Ödemesi"), quoted("Etiketler/Mart Ödemesi")))
    equal(len(house.listed(me, "Etiketler/Mart Ödemesi")), 1, "mails of the label under its new name")
    ok(client.delete(quoted("Etiketler/Mart Ödemesi")))
    equal(house.kepctl("label", "list", "user7"), [], "labels at the end")


def writing(house, client, me, other):
    """A draft is sent by moving it; its evidence comes in reply to it."""
    draft = (f"From: {house.address(me)}\r\nTo: {house.address(other)}\r\nSubject: el ile\r\nMessage-ID: <el@trial.test>\r\n"
             "Date: Wed, 25 Nov 2026 10:00:00 +0300\r\n\r\nbir\r\n").encode()
    said = ok(client.append(quoted("Taslaklar"), r"(\Draft)", None, draft))[0]
    uid = said.split(b"]")[0].split()[-1]
    ok(client.select(quoted("Taslaklar")))
    expect(fetch_one(client, uid, "(BODY.PEEK[])")[1] == draft, "the draft's octets")
    ok(client.uid("MOVE", uid, quoted("İşlerim/Gönder")))
    equal(house.listed(me, "Taslaklar"), [], "drafts after sending")
    house.until("the mail is sent", lambda: house.listed(me, "Giden Kutusu") == ["el ile"])
    house.until("it came in", lambda: "el ile" in house.listed(other, "INBOX"))
    house.until("its evidence came", lambda: len(house.listed(me, "Deliller")) >= 2)
    sent = list(house.octets(me, "Giden Kutusu").values())
    expect(any(b"bir\r\n" in octets for octets in sent), "what was sent")


def trial(house, folder):
    me, other = "user7@hs01.kep.test", "user8@hs01.kep.test"
    client = house.imap(me)
    ok(client.select("INBOX"))
    said = idle(client, lambda: house.submit(other, house.address(me), "uyandır"))
    expect(b"EXISTS" in said, "IDLE")
    listed = b"\n".join(line for line in ok(client.list()) if line)
    for box in ("Giden Kutusu", "Taslaklar", "Arşiv", "Çöp Kutusu", "Deliller", "İşlerim/Onayla"):
        expect(utf7(box).encode() in listed, f"{box} is not listed")
    ok(client.select("INBOX"))
    uid = search(client, "SUBJECT", '"uyand"')[0]
    equal(subject_of(fetch_one(client, uid, "(BODY.PEEK[HEADER])")[1]), "uyandır", "a subject in Turkish")
    expect(not house.held(me, "uyandır")["seen"], "a look at a header is no reading")
    ok(client.uid("FETCH", uid, "(BODY[])"))
    expect(house.held(me, "uyandır")["seen"], "reading marks as read")
    labels(house, client, me)
    writing(house, client, me, other)
    # Archive and back; the bin keeps what stands on the record.
    ok(client.select("INBOX"))
    ok(client.uid("MOVE", search(client, "ALL")[0], quoted("Arşiv")))
    equal(house.listed(me, "Arşiv"), ["uyandır"], "the archive")
    ok(client.select(quoted("Arşiv")))
    uid = search(client, "ALL")[0]
    ok(client.uid("STORE", uid, "+FLAGS", r"(\Deleted)"))
    ok(client.expunge())
    equal(house.listed(me, "Çöp Kutusu"), ["uyandır"], "the bin")
    ok(client.select(quoted("Çöp Kutusu")))
    uid = search(client, "ALL")[0]
    ok(client.uid("STORE", uid, "+FLAGS", r"(\Deleted)"))
    answer = client.expunge()
    expect(answer[0] == "NO" and b"legal record" in answer[1][0], f"destroying what is on the record: {answer}")
    ok(client.uid("MOVE", uid, "INBOX"))
    equal(house.listed(me, "INBOX"), ["uyandır"], "INBOX in the end")
    client.logout()
    return "IDLE, search, labels as folders and keywords, a draft sent by moving it, archive, bin, restore"
