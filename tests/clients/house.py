"""A fresh `kepd demo`, and what a trial of a mail client needs of it.

The server's side is always judged from outside: by `kepctl --json`, and by octets that come back. A client is judged by
the files it leaves. Nothing here knows how the server is built.
"""
import base64
import email
import email.policy
import imaplib
import json
import pathlib
import re
import smtplib
import ssl
import subprocess
import time
import urllib.request

# A mail on its way is sealed, time-stamped and handed over; on a busy machine that takes a moment.
PATIENCE_S = 60
PAUSE_S = 0.05
CLIENT_MAX_S = 300
# Of a value that is not as it should be.
SHOWN_MAX_CHARS = 600
# How many natural persons there are: each trial has some of its own, so that none disturbs another.
PERSONS = 8
# Gauges of work that has still to be done.
UNDER_WAY = ["kepd_evidence_owed", "kepd_status_owed", "kepd_copies_to_seal", "kepd_deliveries", "kepd_queue_entries"]


class Failed(Exception):
    """What a client or the server did is not what it should be."""


def expect(held, what):
    if not held:
        raise Failed(what)


def equal(got, want, what):
    if got != want:
        raise Failed(f"{what}:\n    got  {short(got)}\n    want {short(want)}")


def short(value):
    text = repr(value)
    return text if len(text) <= SHOWN_MAX_CHARS else text[:SHOWN_MAX_CHARS] + f"... ({len(text)} characters)"


def same_octets(got, want, what, own=b""):
    """The same messages, whatever their order. `own` is a header field that the client writes into its copies."""
    def plain(octets):
        lines = octets.replace(b"\r\n", b"\n").split(b"\n")
        end = lines.index(b"")
        return b"\n".join([l for l in lines[:end] if not (own and l.startswith(own))] + lines[end:])
    got, want = sorted(map(plain, got)), sorted(map(plain, want))
    equal(len(got), len(want), f"{what}, their number")
    for one, other in zip(got, want):
        at = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
        expect(one == other, f"{what}: they differ at octet {at}: {one[at - 60:at + 60]!r} and {other[at - 60:at + 60]!r}")


def utf7(text):
    """Modified UTF-7 of a mailbox name (RFC 3501 5.1.3)."""
    def shifted(match):
        octets = match.group().encode("utf-16-be")
        return "&" + base64.b64encode(octets).decode().rstrip("=").replace("/", ",") + "-"
    return re.sub("[^ -~]+", shifted, text.replace("&", "&-"))


def quoted(text):
    return '"' + utf7(text) + '"'


class House:
    """The demo's first provider."""

    def __init__(self, programs, folder):
        self.folder = pathlib.Path(folder)
        self.programs = pathlib.Path(programs).resolve()
        data = self.folder / "data"
        self.log = open(self.folder / "demo.log", "w")
        self.demo = subprocess.Popen(
            [self.programs / "kepd", "demo", "--data", data, "--accounts", str(PERSONS)],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        for line in self.demo.stdout:
            self.log.write(line)
            if line.startswith("All logins:"):
                break
        else:
            raise Failed(f"the demo ended; see {self.folder}/demo.log")
        self.dir = data / "hs01"
        self.ca = self.dir / "ca.pem"
        self.ports = json.loads((self.dir / "ports.json").read_text())
        self.people = {c["login"]: c for c in json.loads((self.dir / "credentials.json").read_text())}
        self.tls = ssl.create_default_context(cafile=self.ca)

    def close(self):
        self.demo.terminate()
        self.demo.wait()
        self.log.close()

    def password(self, login):
        return self.people[login]["password"]

    def address(self, login):
        return self.people[login]["address"]

    def kepctl(self, *words, by=None):
        """What the server holds; `by` is the login in whose name it is asked."""
        command = [self.programs / "kepctl", "--socket", self.ports["control"], "--json", *words]
        if by:
            command += ["--as", by]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"kepctl {' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def listed(self, login, mailbox):
        """Subjects of a mailbox, in order, as the server has it."""
        tenant = tenant_of(login)
        return sorted(m["subject"] for m in self.kepctl("mail", "list", tenant, "--mailbox", mailbox, by=login))

    def held(self, login, subject):
        """One message by its subject, as the server has it; None when the user has none of it."""
        found = [m for m in self.kepctl("mail", "list", tenant_of(login), by=login) if m["subject"] == subject]
        expect(len(found) < 2, f"{subject!r} stands {len(found)} times in the account of {login}")
        return found[0] if found else None

    def imap(self, login):
        client = imaplib.IMAP4_SSL("localhost", self.ports["imap_tls"], ssl_context=self.tls)
        client.login(login, self.password(login))
        return client

    def octets(self, login, mailbox):
        """Messages of a mailbox as the server gives them out: UID to octets. Nothing is marked as read."""
        client = self.imap(login)
        ok(client.select(quoted(mailbox), readonly=True))
        uids = ok(client.uid("SEARCH", "ALL"))[0].split()
        got = {}
        for uid in uids:
            got[int(uid)] = ok(client.uid("FETCH", uid, "(BODY.PEEK[])"))[0][1]
        client.logout()
        return got

    def submit(self, login, to, subject, body="satır bir\r\nsatır iki\r\n", message_id=None):
        message = (f"From: {self.address(login)}\r\nTo: {to}\r\nSubject: {encoded(subject)}\r\n"
                   + (f"Message-ID: {message_id}\r\n" if message_id else "")
                   + "Date: Wed, 25 Nov 2026 10:00:00 +0300\r\nMIME-Version: 1.0\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body).encode()
        with smtplib.SMTP_SSL("localhost", self.ports["submission_tls"], context=self.tls) as client:
            client.login(login, self.password(login))
            client.sendmail(self.address(login), [to], message, mail_options=["BODY=8BITMIME"])
        return message

    def settle(self):
        """Waits until nothing is on its way any more: no mail, no evidence that it still has to leave."""
        def still():
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}/metrics") as answer:
                figures = dict(l.split() for l in answer.read().decode().splitlines() if not l.startswith("#"))
            return all(float(figures[name]) == 0 for name in UNDER_WAY)
        self.until("nothing is on its way", still)

    def until(self, what, holds):
        """Asks again until it holds; the server works in the background."""
        end = time.monotonic() + PATIENCE_S
        while not (answer := holds()):
            if time.monotonic() > end:
                raise Failed(f"in {PATIENCE_S} s it did not come to this: {what}")
            time.sleep(PAUSE_S)
        return answer


def tenant_of(login):
    """Natural persons log in by their address; their tenant is called as they are."""
    user, realm = login.split("@")
    return user if "." in realm else realm


def encoded(text):
    return email.header.Header(text, "utf-8").encode() if not text.isascii() else text


def subject_of(octets):
    return email.message_from_bytes(octets, policy=email.policy.default)["Subject"]


def ok(answer, want="OK"):
    status, data = answer
    if status != want:
        raise Failed(f"the server said {status} {data}")
    return data


def run(command, **more):
    """A client's program; what it says is told when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_MAX_S, **more)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise Failed(f"{command[0]} ended with {done.returncode}:\n    " + "\n    ".join(said))
    return done.stdout + done.stderr
