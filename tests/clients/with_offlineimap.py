"""offlineimap3: a two-way copy as Maildir folders, by another hand than mbsync's: it reads all flags, and sets UIDs by APPENDUID."""
import os
import pathlib
import subprocess

from house import equal, expect, run, same_octets, subject_of

PROGRAM = "offlineimap"

CONFIG = """
[general]
accounts = trial
metadata = {folder}/metadata
ui = basic
fsync = False

[Account trial]
localrepository = near
remoterepository = far
utf8foldernames = yes

[Repository near]
type = Maildir
localfolders = {folder}/mail
sync_deletes = yes

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {login}
remotepassfile = {folder}/password
ssl = yes
sslcacertfile = {ca}
ssl_version = tls1_2
"""


def version():
    return "offlineimap " + subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.split()[0]


def trial(house, folder):
    me, other = "user3@hs01.kep.test", "user4@hs01.kep.test"
    house.kepctl("label", "add", "user3", "Mali İşler")
    subjects = [f"Şartname {n}" for n in range(3)]
    for subject in subjects:
        house.submit(other, house.address(me), subject)
    house.until("three mails came in", lambda: len(house.listed(me, "INBOX")) == 3)

    folder = pathlib.Path(folder)
    (folder / "password").write_text(house.password(me))
    config = folder / "offlineimaprc"
    config.write_text(CONFIG.format(folder=folder, port=house.ports["imap_tls"], login=me, ca=house.ca))

    def sync():
        return run([PROGRAM, "-o", "-c", config], env={**os.environ, "HOME": str(folder)})

    def files(name):
        box = folder / "mail" / name.replace("/", ".")
        return {subject_of(p.read_bytes()): p for part in ("new", "cur") for p in (box / part).glob("*")}

    def state():
        return {str(p.relative_to(folder)): p.read_bytes() for p in (folder / "mail").rglob("*") if p.is_file()}

    sync()
    equal(sorted(files("INBOX")), subjects, "INBOX of the copy")
    copies = [p.read_bytes() for p in files("INBOX").values()]
    same_octets(copies, house.octets(me, "INBOX").values(), "the octets of INBOX")

    house.settle()
    sync()
    before, held = state(), house.kepctl("mail", "list", "user3", by=me)
    sync()
    equal(state(), before, "the copy after a second run")
    equal(house.kepctl("mail", "list", "user3", by=me), held, "the account after a second run")

    # Flags, both ways.
    path = files("INBOX")["Şartname 0"]
    base, _, _ = path.name.partition(":2,")
    os.rename(path, path.parent.parent / "cur" / f"{base}:2,FS")
    client = house.imap(me)
    client.select("INBOX")
    number = next(u for u, o in house.octets(me, "INBOX").items() if subject_of(o) == "Şartname 1")
    client.uid("STORE", str(number), "+FLAGS", r"(\Seen \Answered)")
    client.logout()
    sync()
    expect(house.held(me, "Şartname 0")["seen"], "\\Seen came up")
    equal(house.listed(me, "Önemli"), ["Şartname 0"], "\\Flagged came up")
    equal(set(files("INBOX")["Şartname 1"].name.split(":2,")[1]), set("RS"), "flags that came down")

    # Moved to the archive here: offlineimap brings it there, and deletes it in INBOX.
    path = files("INBOX")["Şartname 2"]
    name = path.name.split(",U=")[0] + ":2,S"
    os.rename(path, folder / "mail" / "Arşiv" / "cur" / name)
    sync()
    sync()
    equal(house.listed(me, "Arşiv"), ["Şartname 2"], "the archive")
    equal(house.listed(me, "INBOX"), ["Şartname 0", "Şartname 1"], "INBOX without what is archived")
    equal(house.listed(me, "Çöp Kutusu"), [], "the bin")

    house.settle()
    sync()
    before, held = state(), house.kepctl("mail", "list", "user3", by=me)
    sync()
    equal(state(), before, "the copy after the last run")
    equal(house.kepctl("mail", "list", "user3", by=me), held, "the account after the last run")
    return "two-way: flags, archive; second runs change nothing"
