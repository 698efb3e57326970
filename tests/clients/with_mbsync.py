"""mbsync (isync): a two-way copy of the mailboxes as Maildir folders. It moves by copying and expunging, and knows flags only."""
import os
import pathlib
import subprocess

from house import equal, expect, run, same_octets, subject_of, utf7

PROGRAM = "mbsync"


def version():
    return subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.strip()


CONFIG = """
IMAPStore far
Host localhost
Port {port}
User {login}
PassCmd "cat {folder}/password"
SSLType IMAPS
CertificateFile {ca}

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
"""


class Copy:
    def __init__(self, house, folder, login):
        self.folder = pathlib.Path(folder)
        (self.folder / "mail").mkdir(parents=True)
        (self.folder / "password").write_text(house.password(login))
        self.config = self.folder / "mbsyncrc"
        self.config.write_text(CONFIG.format(
            port=house.ports["imap_tls"], login=login, ca=house.ca, folder=self.folder))

    def sync(self):
        return run([PROGRAM, "-c", self.config, "all"])

    def box(self, name):
        return self.folder / "mail" / utf7(name)

    def files(self, name):
        """Messages of a folder: subject to path."""
        found = [p for part in ("new", "cur") for p in (self.box(name) / part).glob("*")]
        return {subject_of(p.read_bytes()): p for p in found}

    def state(self):
        """All that the copy is, but for the moments at which files were looked at."""
        kept = [p for p in (self.folder / "mail").rglob("*") if p.is_file()]
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in kept}

    def flag(self, path, flags):
        """Maildir's info: R replied, S seen, F flagged, T trashed."""
        base = path.name.split(":")[0]
        os.rename(path, path.parent.parent / "cur" / f"{base}:2,{flags}")

    def put(self, name, octets, flags=""):
        path = self.box(name) / "cur" / f"1000.{len(list(self.box(name).rglob('*')))}.trial:2,{flags}"
        path.write_bytes(octets)

    def move(self, path, name):
        """As mutt moves in a Maildir: the new file has no UID in its name."""
        base, _, flags = path.name.partition(":2,")
        os.rename(path, self.box(name) / "cur" / (base.split(",U=")[0] + ":2," + flags))


def trial(house, folder):
    me, other = "user1@hs01.kep.test", "user2@hs01.kep.test"
    house.kepctl("label", "add", "user1", "Finans")
    subjects = [f"İhale {n}" for n in range(4)]
    for subject in subjects:
        house.submit(other, house.address(me), subject)
    house.until("four mails came in", lambda: len(house.listed(me, "INBOX")) == 4)

    copy = Copy(house, folder, me)
    copy.sync()
    # Every view is a folder, and the octets are those that the server gives out.
    for box in ("Giden Kutusu", "Taslaklar", "Arşiv", "Çöp Kutusu", "Deliller", "İşlerim/Onayla", "Etiketler/Finans"):
        expect(copy.box(box).is_dir(), f"no folder for {box}")
    near = copy.files("INBOX")
    equal(sorted(near), subjects, "INBOX of the copy")
    copies = [p.read_bytes() for p in near.values()]
    same_octets(copies, house.octets(me, "INBOX").values(), "the octets of INBOX", own=b"X-TUID:")
    # The copy told the server nothing but that it is there: nothing was read.
    expect(not any(m["seen"] for m in house.kepctl("mail", "list", "user1", by=me)), "a copy marks nothing as read")

    # Its reading is evidence, and that comes in too. Then another run changes nothing, on neither side.
    house.settle()
    copy.sync()
    before, held = copy.state(), house.kepctl("mail", "list", "user1", by=me)
    copy.sync()
    equal(copy.state(), before, "the copy after a second run")
    equal(house.kepctl("mail", "list", "user1", by=me), held, "the account after a second run")

    # Flags, both ways.
    copy.flag(near["İhale 0"], "FS")
    client = house.imap(me)
    client.select("INBOX")
    number = next(u for u, o in house.octets(me, "INBOX").items() if subject_of(o) == "İhale 1")
    client.uid("STORE", str(number), "+FLAGS", r"(\Seen \Answered)")
    client.logout()
    copy.sync()
    expect(house.held(me, "İhale 0")["seen"], "\\Seen came up")
    equal(house.listed(me, "Önemli"), ["İhale 0"], "\\Flagged came up")
    equal(copy.files("INBOX")["İhale 1"].name.split(":2,")[1], "RS", "flags that came down")

    # A copy into a label labels, one taken out of it loses the label only; one put into the archive is archived. What
    # mbsync brings is recognised: nothing is there twice.
    ihale = copy.files("INBOX")
    copy.put("Etiketler/Finans", ihale["İhale 2"].read_bytes())
    copy.put("Etiketler/Finans", ihale["İhale 3"].read_bytes())
    copy.move(ihale["İhale 1"], "Arşiv")
    copy.sync()
    equal(house.listed(me, "Etiketler/Finans"), ["İhale 2", "İhale 3"], "the label")
    equal(house.listed(me, "Arşiv"), ["İhale 1"], "the archive")
    equal(house.listed(me, "INBOX"), ["İhale 0", "İhale 2", "İhale 3"], "INBOX without what is archived")
    copy.files("Etiketler/Finans")["İhale 2"].unlink()
    copy.sync()
    equal(house.held(me, "İhale 2")["labels"], [], "its label")
    equal(house.held(me, "İhale 3")["labels"], ["Finans"], "labels of the other")

    # Deleted in INBOX: it lies in the bin, for it stands on the legal record.
    copy.files("INBOX")["İhale 3"].unlink()
    copy.sync()
    equal(house.listed(me, "Çöp Kutusu"), ["İhale 3"], "the bin")
    copy.sync()
    equal(list(copy.files("Çöp Kutusu")), ["İhale 3"], "the bin of the copy")

    # A draft that was written here goes up.
    draft = (f"From: {house.address(me)}\nTo: {house.address(other)}\nSubject: taslak\nMessage-ID: <t1@trial.test>\n"
             "Date: Wed, 25 Nov 2026 10:00:00 +0300\n\nbir\n").encode()
    copy.put("Taslaklar", draft, "D")
    copy.sync()
    equal(house.listed(me, "Taslaklar"), ["taslak"], "drafts")
    kept = list(house.octets(me, "Taslaklar").values())[0]
    expect(draft.replace(b"\n", b"\r\n").split(b"\r\n\r\n")[1] in kept, "the draft's text")

    # In the end both sides agree, and another run changes nothing.
    house.settle()
    copy.sync()
    before, held = copy.state(), house.kepctl("mail", "list", "user1", by=me)
    copy.sync()
    equal(copy.state(), before, "the copy after the last run")
    equal(house.kepctl("mail", "list", "user1", by=me), held, "the account after the last run")
    return "two-way: flags, labels, archive, bin, draft; second runs change nothing"
