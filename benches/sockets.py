#!/usr/bin/env python3
"""Figures of a running kepd, taken from outside, over its sockets. Python 3 and the built binary, nothing else.

    cargo build --release --bins
    python3 benches/sockets.py [--binary target/release/kepd] [--data DIR] [--only throughput,idle,large] [--json]

It starts `kepd demo --accounts N` in a folder of its own, waits until the road is walked, and measures that process:

throughput  5 KB mails from user to user of hs01, with 1 and with 16 sessions: 250s per second, mails consigned per
            second, and CPU milliseconds of the process per mail until nothing waits any more (accepted, attested,
            sealed, time-stamped, consigned, delivery attested).
idle        what one TLS connection costs in memory that has logged in, selected INBOX and idles.
large       the peak of memory while 8 clients submit as much as is allowed at once, against 1 MB each, with what the
            stations need after it; and while 8 clients fetch such a mail.

The process holds two providers and the time-stamp authority: their work is all in its figures (hs02 only waits).
The clients are Python on the same cores, so rates per second are low on a small machine; CPU and memory are not
touched by that. Memory is RssAnon and VmHWM of /proc; Linux only. Always on a disk that syncs: not on tmpfs.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

DOMAIN = "hs01.kep.test"
PERSONS = 32
BODY_OCTETS = 5 * 1024
TICKS = os.sysconf("SC_CLK_TCK")
WAITING = ("kepd_evidence_owed", "kepd_copies_to_seal", "kepd_queue_entries", "kepd_deliveries")


class Kepd:
    """The process under measure."""

    def __init__(self, binary, data):
        env = dict(os.environ, RUST_LOG="error")
        command = [binary, "demo", "--json", "--data", str(data), "--accounts", str(PERSONS)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True)
        for line in self.process.stdout:
            step = json.loads(line)
            if not step["ok"]:
                raise SystemExit(f"the demo failed: {step}")
            if step["name"] == "accounts":
                break
        home = data / "hs01"
        deadline = time.monotonic() + 60
        while not (home / "credentials.json").exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit("the demo did not come up")
            time.sleep(0.05)
        time.sleep(0.2)
        self.ports = json.loads((home / "ports.json").read_text())
        logins = json.loads((home / "credentials.json").read_text())
        self.persons = [c for c in logins if c["address"].startswith("user")]
        self.tls = ssl.create_default_context(cafile=str(home / "ca.pem"))
        self.tls.check_hostname = False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _proc(self, name):
        return Path(f"/proc/{self.process.pid}/{name}").read_text()

    def cpu_s(self):
        fields = self._proc("stat").rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_kb(self, field):
        return int(re.search(rf"^{field}:\s+(\d+) kB", self._proc("status"), re.M).group(1))

    def reset_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def waiting(self):
        url = f"http://127.0.0.1:{self.ports['metrics']}/metrics"
        text = urllib.request.urlopen(url, timeout=30).read().decode()
        return sum(int(re.search(rf"^{name} (\d+)$", text, re.M).group(1)) for name in WAITING)

    def settle(self):
        """Until nothing waits. The gauges are not read at one moment: three times nothing is nothing."""
        quiet = 0
        deadline = time.monotonic() + 300
        while quiet < 3:
            if time.monotonic() > deadline:
                raise SystemExit("work still waits after 5 minutes")
            quiet = quiet + 1 if self.waiting() == 0 else 0
            time.sleep(0.05)

    def connect(self, port):
        plain = socket.create_connection(("127.0.0.1", self.ports[port]))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.tls.wrap_socket(plain, server_hostname="localhost")


class Line:
    """Lines both ways; no library, so that the client's own buffers stay small."""

    def __init__(self, sock):
        self.sock, self.left = sock, b""

    def line(self):
        while b"\n" not in self.left:
            got = self.sock.recv(65536)
            if not got:
                raise SystemExit("the server hung up")
            self.left += got
        line, self.left = self.left.split(b"\n", 1)
        return line.rstrip(b"\r")

    def skip(self, count):
        self.left, count = self.left[count:], count - min(count, len(self.left))
        while count > 0:
            got = self.sock.recv(min(count, 65536))
            if not got:
                raise SystemExit("the server hung up")
            count -= len(got)

    def send(self, octets):
        self.sock.sendall(octets)


class Smtp(Line):
    def __init__(self, kepd, person):
        import base64

        super().__init__(kepd.connect("submission_tls"))
        self.person = person
        self.reply(b"220")
        self.send(b"EHLO bench\r\n")
        said = self.reply(b"250")
        self.size_max = next(int(l.split()[1]) for l in said if b"SIZE " in l)
        secret = f"\0{person['login']}\0{person['password']}".encode()
        self.send(b"AUTH PLAIN " + base64.b64encode(secret) + b"\r\n")
        self.reply(b"235")

    def reply(self, code):
        said = []
        while True:
            line = self.line()
            said.append(line[4:])
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            raise SystemExit(f"SMTP: {line!r} instead of {code!r}")
        return said

    def submit(self, to, content):
        head = f"MAIL FROM:<{self.person['address']}> SIZE={len(content)}\r\nRCPT TO:<{to}>\r\nDATA\r\n"
        self.send(head.encode())
        for code in (b"250", b"250", b"354"):
            self.reply(code)
        self.send(content)
        self.send(b".\r\n")
        self.reply(b"250")


class Imap(Line):
    def __init__(self, kepd, person):
        super().__init__(kepd.connect("imap_tls"))
        self.line()
        self.do(f'LOGIN "{person["login"]}" "{person["password"]}"')
        said = self.do("SELECT INBOX")
        self.exists = next(int(l.split()[1]) for l in said if l.endswith(b"EXISTS"))

    def do(self, command):
        self.send(f"a {command}\r\n".encode())
        said = []
        while True:
            line = self.line()
            if line.startswith(b"a "):
                if not line.startswith(b"a OK"):
                    raise SystemExit(f"IMAP: {command}: {line!r}")
                return said
            literal = re.search(rb"\{(\d+)\}$", line)
            if literal:
                self.skip(int(literal.group(1)))
            said.append(line)

    def idle(self):
        self.send(b"a IDLE\r\n")
        while not self.line().startswith(b"+"):
            pass


def mail(sender, to, mark, octets):
    head = (
        f"Date: Mon, 23 Nov 2026 10:00:00 +0300\r\nMessage-ID: <{mark}@bench>\r\nFrom: {sender}\r\nTo: {to}\r\n"
        f"Subject: Duyuru {mark}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode()
    line = b"Bu iletinin kendisi uzun degil, ekleri uzundur; satirlar hep ayni kalir.\r\n"
    body = line * max(1, (octets - len(head)) // len(line))
    return head + body


def together(works):
    """Runs all at once; whoever fails, fails all."""
    failures = []

    def guarded(work):
        try:
            work()
        except BaseException as why:  # noqa: BLE001 - told below
            failures.append(why)

    threads = [threading.Thread(target=guarded, args=(w,)) for w in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"a client failed: {failures[0]}")


def throughput(kepd, sessions, count, run):
    clients = [Smtp(kepd, kepd.persons[n]) for n in range(sessions)]
    each = count // sessions
    mails = [
        [(kepd.persons[(n + 16) % PERSONS]["address"], k) for k in range(each)] for n in range(sessions)
    ]

    def walk(n):
        client = clients[n]
        for to, k in mails[n]:
            mark = f"r{run}.s{sessions}.{n}.{k}.{os.getpid()}"
            client.submit(to, mail(client.person["address"], to, mark, BODY_OCTETS))

    kepd.settle()
    cpu, began = kepd.cpu_s(), time.monotonic()
    together([lambda n=n: walk(n) for n in range(sessions)])
    accepted = time.monotonic() - began
    kepd.settle()
    done, spent = time.monotonic() - began, kepd.cpu_s() - cpu
    for client in clients:
        client.sock.close()
    total = each * sessions
    return {
        "measure": "throughput",
        "sessions": sessions,
        "mails": total,
        "accepted_per_s": round(total / accepted, 1),
        "consigned_per_s": round(total / done, 1),
        "cpu_ms_per_mail": round(1000 * spent / total, 2),
        "cpu_s_per_1000": round(1000 * spent / total, 2),
    }


def idle(kepd, connections):
    # The password check takes memory of its own; it is warm before the baseline.
    first = [Imap(kepd, kepd.persons[k % PERSONS]) for k in range(8)]
    for client in first:
        client.idle()
    kepd.settle()
    time.sleep(1)
    base, rss = kepd.memory_kb("RssAnon"), kepd.memory_kb("VmRSS")
    more = []
    for k in range(connections):
        client = Imap(kepd, kepd.persons[k % PERSONS])
        client.idle()
        more.append(client)
    time.sleep(2)
    full = kepd.memory_kb("RssAnon")
    for client in first + more:
        client.sock.close()
    return {
        "measure": "idle",
        "connections": connections,
        "base_rss_mb": round(rss / 1024, 1),
        "base_anon_mb": round(base / 1024, 1),
        "idle_anon_mb": round(full / 1024, 1),
        "kb_per_connection": round((full - base) / connections, 1),
    }


def large(kepd, clients, octets, run):
    sessions = [Smtp(kepd, kepd.persons[n]) for n in range(clients)]
    # Of the limit a little stays free: the header that is added counts as well.
    octets = min(octets, sessions[0].size_max - 16 * 1024)
    to = [kepd.persons[16 + n] for n in range(clients)]
    contents = [
        mail(c.person["address"], to[n]["address"], f"l{run}.{octets}.{n}.{os.getpid()}", octets)
        for n, c in enumerate(sessions)
    ]
    kepd.settle()
    time.sleep(1)
    kepd.reset_peak()
    base, cpu, began = kepd.memory_kb("VmRSS"), kepd.cpu_s(), time.monotonic()
    together([lambda n=n: sessions[n].submit(to[n]["address"], contents[n]) for n in range(clients)])
    accepted, submitted = time.monotonic() - began, kepd.memory_kb("VmHWM")
    kepd.settle()
    consigned, spent = kepd.memory_kb("VmHWM"), kepd.cpu_s() - cpu
    del contents
    for client in sessions:
        client.sock.close()
    readers = [Imap(kepd, person) for person in to]
    time.sleep(1)
    kepd.reset_peak()
    before, read_cpu = kepd.memory_kb("VmRSS"), kepd.cpu_s()
    together([lambda r=r: r.do(f"FETCH {r.exists} BODY.PEEK[]") for r in readers])
    fetched, read_spent = kepd.memory_kb("VmHWM"), kepd.cpu_s() - read_cpu
    for client in readers:
        client.sock.close()
    mb = lambda kb: round(kb / 1024, 1)  # noqa: E731
    return {
        "measure": "large",
        "clients": clients,
        "mb_each": round(octets / 1e6, 1),
        "base_mb": mb(base),
        "peak_over_base_submitting_mb": mb(submitted - base),
        "peak_over_base_to_consigned_mb": mb(consigned - base),
        "submitted_in_s": round(accepted, 1),
        "cpu_s_to_consigned": round(spent, 2),
        "peak_over_base_fetching_mb": mb(fetched - before),
        "cpu_s_fetching": round(read_spent, 2),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", default="target/release/kepd")
    arguments.add_argument("--data", help="an empty folder on the disk to measure; default: a temporary one in target/")
    arguments.add_argument("--only", default="throughput,idle,large")
    arguments.add_argument("--runs", type=int, default=3, help="of the throughput; each is shown")
    arguments.add_argument("--mails", type=int, default=480, help="of a run with 16 sessions; a quarter with one")
    arguments.add_argument("--connections", type=int, default=500)
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    target = Path(asked.binary).resolve().parent
    data = Path(asked.data or tempfile.mkdtemp(prefix="sockets-", dir=target))
    only = asked.only.split(",")

    def show(row):
        if asked.json:
            print(json.dumps(row), flush=True)
        else:
            print("  ".join(f"{k}={v}" for k, v in row.items()), flush=True)

    kepd = Kepd(asked.binary, data)
    try:
        if "throughput" in only:
            throughput(kepd, 16, 64, -1)  # warm
            for run in range(asked.runs):
                show(throughput(kepd, 1, asked.mails // 4, run))
                show(throughput(kepd, 16, asked.mails, run))
        if "idle" in only:
            show(idle(kepd, asked.connections))
        if "large" in only:
            # The small ones first: what the allocator keeps of the large ones would hide them.
            for octets in (1_000_000, 25_000_000):
                show(large(kepd, 8, octets, 0))
    finally:
        kepd.stop()
        if not asked.data:
            shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
