"""A mail reader, in three roles. Prints what it found as JSON.

read PORT CA USER PASSWORD           reads everything in INBOX; gives how many messages
look PORT CA USER PASSWORD           what the sender sees of each mail: keywords, and the evidence in its thread
"""

import base64
import email
import email.policy
import imaplib
import json
import re
import ssl
import sys

role, port, ca, user, password = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
imap = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context, timeout=60)
imap.login(user, password)
KEYWORDS = ["$KepTeslim", "$KepOkundu", "$KepSureDoldu", "$KepRed"]


def mailbox(name):
    """Modified UTF-7 (RFC 3501 5.1.3), for a client that speaks IMAP4rev1."""
    coded = lambda run: "&" + base64.b64encode(run.group().encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
    return '"' + re.sub(r"[^\x20-\x7e]+", coded, name) + '"'


def uids(*asked):
    code, found = imap.uid("SEARCH", None, *asked)
    assert code == "OK", (asked, found)
    return [uid.decode() for uid in found[0].split()]


def header(uid):
    code, data = imap.uid("FETCH", uid, "(THREADID BODY.PEEK[HEADER])")
    assert code == "OK", data
    found = next(part for part in data if isinstance(part, tuple))
    line = found[0] + b"".join(part for part in data if isinstance(part, bytes))
    return email.message_from_bytes(found[1], policy=email.policy.default), re.search(rb"THREADID \((\S+)\)", line)[1].decode()


def read():
    assert imap.select("INBOX")[0] == "OK"
    found = uids("UNSEEN")
    for uid in found:
        assert imap.uid("FETCH", uid, "(BODY[])")[0] == "OK"
    return len(found)


def threads(text):
    """The answer to THREAD: the messages of each thread. Where its root is elsewhere, they stand side by side."""
    depth, found, run = 0, [], []
    for word in re.findall(r"[()]|\d+", text):
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
            if depth == 0:
                found.append(run)
                run = []
        else:
            run.append(word)
    return found


def look():
    told, mail_of = {}, {}
    assert imap.select(mailbox("Giden Kutusu"), readonly=True)[0] == "OK"
    for uid in uids("ALL"):
        message, thread_id = header(uid)
        shown = [word for word in KEYWORDS if uid in uids("UID", uid, "KEYWORD", word)]
        told[message["Message-ID"]] = {"keywords": shown}
        assert thread_id not in mail_of, "two mails in one thread"
        mail_of[thread_id] = message["Message-ID"]
    assert imap.select("Deliller", readonly=True)[0] == "OK"
    everything = uids("ALL")
    code, found = imap.uid("THREAD", "REFERENCES", "UTF-8", "ALL")
    assert code == "OK", found
    for thread in threads(found[0].decode()):
        replies = []
        for uid in thread:
            reply, thread_id = header(uid)
            # RFC 8474 5.2: the thread of the mail itself, which lies in another mailbox.
            assert reply["In-Reply-To"] == reply["References"] == mail_of[thread_id]
            replies.append((mail_of[thread_id], reply["X-REM-Evidence-Identifier"]))
            everything.remove(uid)
        [mail] = {mail for mail, _ in replies}
        assert "evidence" not in told[mail], "the evidence of a mail in two threads"
        told[mail]["evidence"] = sorted(identifier for _, identifier in replies)
    assert everything == [], "evidence in no thread"
    return told


answer = {"read": read, "look": look}[role]()
imap.logout()
print(json.dumps(answer))
