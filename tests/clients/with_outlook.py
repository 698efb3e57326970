"""Outlook's ways, played by imaplib: it sets no keywords, so everything has to go by folders; and it saves a copy of what it sent.

Outlook itself does not run here. What it does over IMAP is known: UID COPY and \\Deleted where it moves, APPEND to the
folder of sent mail, and a LIST that looks for special uses.
"""
import sys

from house import equal, expect, ok, quoted, subject_of


def version():
    return f"imaplib as Outlook ({sys.version.split()[0]})"


class Outlook:
    def __init__(self, house, login):
        self.house, self.login = house, login
        self.imap = house.imap(login)

    def folder(self, use):
        """The folder of a special use (RFC 6154), as LIST names it."""
        for line in ok(self.imap.list()):
            if use.encode() in line:
                return line.split(b' "/" ')[1]
        raise AssertionError(f"no folder is {use}")

    def find(self, box, subject):
        ok(self.imap.select(quoted(box)))
        for uid in ok(self.imap.uid("SEARCH", "NOT", "DELETED"))[0].split():
            header = ok(self.imap.uid("FETCH", uid, "(BODY.PEEK[HEADER])"))[0][1]
            if subject_of(header) == subject:
                return uid
        return None

    def wait(self, box, subject):
        return self.house.until(f"{subject!r} stands in {box}", lambda: self.find(box, subject))

    def drag(self, box, subject, to):
        """UID COPY, then \\Deleted, then EXPUNGE: without MOVE, as old versions do."""
        uid = self.wait(box, subject)
        ok(self.imap.uid("COPY", uid, quoted(to)))
        # Where copying has decided, the job has left the folder already.
        self.imap.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
        self.imap.expunge()

    def copy(self, box, subject, to):
        ok(self.imap.uid("COPY", self.wait(box, subject), quoted(to)))


def sending(house, me, other):
    """A client that saves a copy of what it sent gets the UID of the mail that is there."""
    outlook = Outlook(house, me)
    sent = house.submit(me, house.address(other), "kopya", message_id="<kopya.1@trial.test>")
    sent_folder = outlook.folder(r"\Sent")
    house.until("the mail is filed as sent", lambda: house.listed(me, "Giden Kutusu") == ["kopya"])
    there = outlook.find("Giden Kutusu", "kopya").decode()
    for _ in range(2):
        said = ok(outlook.imap.append(sent_folder.decode(), r"(\Seen)", None, sent))[0]
        expect(said.startswith(b"[APPENDUID ") and said.split(b"]")[0].endswith(b" " + there.encode()), f"{said} is not UID {there}")
    equal(house.listed(me, "Giden Kutusu"), ["kopya"], "sent mail after two copies")
    expect(house.held(me, "kopya")["seen"], "the flag that the copy was brought with")
    # Nothing else passes for sent mail.
    other = sent.replace(b"kopya.1@", b"baska@")
    expect(outlook.imap.append(sent_folder.decode(), None, None, other)[0] == "NO", "a copy of what was never sent")


def filing(house, me, other):
    outlook = Outlook(house, me)
    house.kepctl("label", "add", "user5", "Finans")
    for n in range(3):
        house.submit(other, house.address(me), f"fatura {n}")
    for n in range(3):
        outlook.wait("INBOX", f"fatura {n}")
    # Archive, bin, and back.
    archive, trash = r"\Archive", r"\Trash"
    expect(b"Ar&AV8-iv" in outlook.folder(archive) and b"p Kutusu" in outlook.folder(trash), "special uses")
    outlook.drag("INBOX", "fatura 0", "Arşiv")
    equal(house.listed(me, "Arşiv"), ["fatura 0"], "the archive")
    outlook.drag("Arşiv", "fatura 0", "INBOX")
    outlook.wait("INBOX", "fatura 0")
    equal(house.listed(me, "Çöp Kutusu"), [], "the bin after a mail came back from the archive")
    outlook.drag("INBOX", "fatura 1", "Çöp Kutusu")
    equal(house.listed(me, "Çöp Kutusu"), ["fatura 1"], "the bin")
    outlook.drag("Çöp Kutusu", "fatura 1", "INBOX")
    outlook.wait("INBOX", "fatura 1")
    # A label by copying; it is a keyword for others at once, and offered among the permanent flags.
    outlook.copy("INBOX", "fatura 2", "Etiketler/Finans")
    equal(house.held(me, "fatura 2")["labels"], ["Finans"], "labels")
    uid = outlook.find("INBOX", "fatura 2")
    flags = ok(outlook.imap.uid("FETCH", uid, "(FLAGS)"))[0]
    expect(b"Finans" in flags, f"the label is no keyword: {flags}")
    ok(outlook.imap.select("INBOX"))
    permanent = outlook.imap.response("PERMANENTFLAGS")[1][0]
    expect(b"Finans" in permanent and b"$KepOnay" in permanent, f"PERMANENTFLAGS {permanent}")
    # Deleted in the label's folder: the label goes, the mail stays.
    uid = outlook.find("Etiketler/Finans", "fatura 2")
    outlook.imap.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
    ok(outlook.imap.expunge())
    equal(house.held(me, "fatura 2")["labels"], [], "labels after the label's copy was deleted")
    outlook.wait("INBOX", "fatura 2")


def deciding(house):
    """A rule with two steps, from the draft to the other provider, by folders alone."""
    ayse, first, second, officer = (f"{user}@ornekas" for user in ("ayse", "onay1", "onay2", "mudur"))
    subject = "Teklif klasörle"
    house.submit(ayse, "alici@hs02.kep.test", subject)
    Outlook(house, first).drag("İşlerim/Bekleyen", subject, "İşlerim/Onayla")
    Outlook(house, second).drag("İşlerim/Bekleyen", subject, "İşlerim/Onayla")
    Outlook(house, officer).drag("İşlerim/Gönderime Hazır", subject, "İşlerim/Gönder")
    def sent():
        mails = house.kepctl("mail", "list", "ornekas")
        return [m for m in mails if m["subject"] == subject and m["state"] not in ("waiting", "ready")]
    house.until("the mail left", sent)
    # And one that is refused.
    house.submit(ayse, "alici@hs02.kep.test", "Teklif red")
    Outlook(house, first).drag("İşlerim/Bekleyen", "Teklif red", "İşlerim/Reddet")
    jobs = house.kepctl("job", "list", "ornekas")
    told = [j for j in jobs if j["subject"] == "Teklif red"]
    equal([j["state"] for j in told], ["rejected"], "the job that was refused")


def trial(house, folder):
    me, other = "user5@hs01.kep.test", "user6@hs01.kep.test"
    sending(house, me, other)
    filing(house, me, other)
    deciding(house)
    return "by folders alone: copies of sent mail, archive, bin, restore, label, approve, reject, release"
