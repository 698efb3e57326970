"""An independent mail client: reads a plan from stdin as JSON, walks it with smtplib, prints every reply as JSON.

plan: {"port", "ca", "tls": true|false, "steps": [["login", user, password] | ["say", line] | ["content", text]
      | ["send", from, [to, ...], text]]}
"""

import json
import smtplib
import ssl
import sys

plan = json.load(sys.stdin)
context = ssl.create_default_context(cafile=plan["ca"])
if plan["tls"]:
    client = smtplib.SMTP_SSL("127.0.0.1", plan["port"], context=context, timeout=60)
else:
    client = smtplib.SMTP("127.0.0.1", plan["port"], timeout=60)
    client.ehlo()
    client.starttls(context=context)
client.ehlo()


def walk(step):
    kind, rest = step[0], step[1:]
    if kind == "login":
        try:
            return client.login(*rest)
        except smtplib.SMTPAuthenticationError as refused:
            return refused.smtp_code, refused.smtp_error
    if kind == "say":
        return client.docmd(rest[0])
    if kind == "content":
        code, words = client.docmd("DATA")
        if code != 354:
            return code, words
        client.sock.sendall(rest[0].encode() + b"\r\n.\r\n")
        return client.getreply()
    if kind == "send":
        client.mail(rest[0])
        for to in rest[1]:
            client.rcpt(to)
        return client.data(rest[2].encode())
    raise ValueError(kind)


replies = []
for step in plan["steps"]:
    code, words = walk(step)
    replies.append([code, words.decode() if isinstance(words, bytes) else words])
client.quit()
print(json.dumps(replies))
