"""Mail clients of their own (smtplib, imaplib over OpenSSL) that come in with certificates: reads a plan from stdin as
JSON, walks it, prints what each was offered and told as JSON.

plan: {"ports": {door: port}, "ca", "steps": [{"door", "card": FILE or null, "tls12": bool,
       "logins": [["external", authzid or null, at once or not] | ["password", login, password]], "then": [line, ...]}]}
"""

import base64
import concurrent.futures
import imaplib
import json
import smtplib
import ssl
import sys

plan = json.load(sys.stdin)


def context(step):
    made = ssl.create_default_context(cafile=plan["ca"])
    if step.get("tls12"):
        made.maximum_version = ssl.TLSVersion.TLSv1_2
    if step.get("card"):
        made.load_cert_chain(step["card"])
    return made


def said(code, words):
    return "%d %s" % (code, words.decode())


def smtp(step):
    port = plan["ports"][step["door"]]
    if step["door"] == "submission_tls":
        client = smtplib.SMTP_SSL("127.0.0.1", port, context=context(step), timeout=60)
    else:
        client = smtplib.SMTP("127.0.0.1", port, timeout=60)
        client.ehlo()
        assert "auth" not in client.esmtp_features
        client.starttls(context=context(step))
    client.ehlo()
    replies = []
    for kind, *rest in step["logins"]:
        if kind == "password":
            try:
                replies.append(said(*client.login(*rest)))
            except smtplib.SMTPAuthenticationError as refused:
                replies.append(said(refused.smtp_code, refused.smtp_error))
        elif rest[1]:
            # RFC 4954 4: an initial response that is empty is written as "=".
            words = base64.b64encode((rest[0] or "").encode()).decode() or "="
            replies.append(said(*client.docmd("AUTH", "EXTERNAL " + words)))
        else:
            code, words = client.docmd("AUTH", "EXTERNAL")
            if code == 334:
                code, words = client.docmd(base64.b64encode((rest[0] or "").encode()).decode())
            replies.append(said(code, words))
    replies += [said(*client.docmd(line)) for line in step.get("then", [])]
    offered = client.esmtp_features.get("auth", "").strip()
    client.quit()
    return {"offered": offered, "replies": replies}


def imap(step):
    port = plan["ports"][step["door"]]
    if step["door"] == "imap_tls":
        client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context(step), timeout=60)
    else:
        client = imaplib.IMAP4("127.0.0.1", port, timeout=60)
        assert "LOGINDISABLED" in client.capabilities
        client.starttls(context(step))
    offered = " ".join(c[5:] for c in client.capabilities if c.startswith("AUTH="))
    replies = []
    for kind, *rest in step["logins"]:
        try:
            if kind == "password":
                client.login(*rest)
            elif rest[1]:
                # RFC 9051 6.2.2: the same "=".
                words = base64.b64encode((rest[0] or "").encode()).decode() or "="
                client.literal = None
                status, data = client._simple_command("AUTHENTICATE", "EXTERNAL", words)
                assert status == "OK", data
                client.state = "AUTH"
            else:
                client.authenticate("EXTERNAL", lambda _: (rest[0] or "").encode())
            replies.append("OK")
        except (imaplib.IMAP4.error, AssertionError) as refused:
            replies.append("NO " + str(refused))
    if client.state == "AUTH":
        replies.append(client.select("INBOX")[0])
    client.logout()
    return {"offered": offered, "replies": replies}


def walk(step):
    return (imap if step["door"].startswith("imap") else smtp)(step)


# A refusal is answered late: all wait at the same time.
with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
    print(json.dumps(list(pool.map(walk, plan["steps"]))))
