"""neomutt: sends in batch, and at a terminal of ours is pushed the keys for tagging a mail and moving a job."""
import os
import pathlib
import pty
import select
import subprocess
import time

from house import CLIENT_MAX_S, Failed, equal, expect, run

PROGRAM = "neomutt"

CONFIG = """
set ssl_ca_certificates_file = {ca}
set certificate_file = {ca}
set ssl_usesystemcerts = no
set ssl_force_tls = yes
set realname = "Deneme"
set from = {address}
set use_from = yes
set use_envelope_from = yes
set folder = imaps://localhost:{imap}/
set imap_user = "{login}"
set imap_pass = "{password}"
set smtp_url = "smtps://localhost:{smtp}/"
set smtp_user = "{login}"
set smtp_pass = "{password}"
set record = "+Giden Kutusu"
set postponed = "+Taslaklar"
set imap_authenticators = "plain"
set smtp_authenticators = "plain"
set confirmappend = no
set quit = yes
set move = no
set wait_key = no
set send_charset = utf-8
set charset = utf-8
set header_cache =
"""


def version():
    return subprocess.run([PROGRAM, "-v"], capture_output=True, text=True).stdout.split("\n")[0]


class Mutt:
    def __init__(self, house, folder, login):
        self.folder = pathlib.Path(folder) / login
        self.folder.mkdir()
        self.config = self.folder / "neomuttrc"
        self.config.write_text(CONFIG.format(
            ca=house.ca, address=house.address(login), login=login, password=house.password(login),
            imap=house.ports["imap_tls"], smtp=house.ports["submission_tls"]))
        self.environment = {**os.environ, "HOME": str(self.folder), "TERM": "xterm", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

    def send(self, to, subject, body):
        run([PROGRAM, "-n", "-F", self.config, "-s", subject, "--", to], input=body, env=self.environment)

    def press(self, box, keys):
        """Opens a mailbox at a terminal and pushes keys; gives what was shown."""
        ours, theirs = pty.openpty()
        command = [PROGRAM, "-n", "-F", self.config, "-f", f"+{box}", "-e", f'push "{keys}"']
        client = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=self.environment,
                                  start_new_session=True)
        os.close(theirs)
        shown, end = b"", time.monotonic() + CLIENT_MAX_S
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    octets = os.read(ours, 65536)
                except OSError:
                    break
                if not octets:
                    break
                shown += octets
            elif client.poll() is not None:
                break
        else:
            client.kill()
            raise Failed(f"neomutt did not come to an end; it showed {shown[-2000:]!r}")
        client.wait()
        os.close(ours)
        return shown


def trial(house, folder):
    ayse, first = "ayse@ornekas", "onay1@ornekas"
    subject = "Teklif neomutt"
    writer = Mutt(house, folder, ayse)
    writer.send("alici@hs02.kep.test", subject, "Fiyatımız ektedir.\n")
    # It matches a rule and waits; the copy that neomutt saved is the mail itself.
    job = house.until("the mail waits", lambda: [j for j in house.kepctl("job", "list", "ornekas") if j["subject"] == subject])
    equal(len(job), 1, "jobs of the mail")
    equal(house.listed(ayse, "Giden Kutusu").count(subject), 1, "the mail among the sent, with the copy that was saved")

    # A tag is a keyword, and so a label; the draft and sent folders need no settings but their names.
    house.kepctl("label", "add", "ornekas", "Fiyat")
    approver = Mutt(house, folder, first)
    house.until("the job is shown", lambda: subject in house.listed(first, "İşlerim/Bekleyen"))
    officer = Mutt(house, folder, "mudur@ornekas")
    shown = officer.press("Giden Kutusu", "<limit>~s neomutt<enter><first-entry><modify-labels>Fiyat<enter>"
                          "<sync-mailbox><quit>")
    labels = house.held("mudur@ornekas", subject)["labels"]
    expect(labels == ["Fiyat"], f"the tag became the labels {labels}; neomutt showed {shown[-1500:]!r}")

    # The job is moved to where it is approved.
    shown = approver.press("İşlerim/Bekleyen", "<limit>~s neomutt<enter><tag-pattern>~A<enter><tag-prefix><save-message>"
                           "<kill-line>+İşlerim/Onayla<enter><sync-mailbox><quit>")
    decisions = house.kepctl("job", "show", job[0]["job"])["decisions"]
    made = [(d["actor"], d["decision"], d["route"]) for d in decisions[1:]]
    expect(made == [(first, "approve", "folder")], f"decisions {made}; neomutt showed {shown[-1500:]!r}")
    return "sent in batch, its copy recognised; a tag became a label; a job was moved to İşlerim/Onayla"
