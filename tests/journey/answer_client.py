"""A mail reader of an approver: finds the status message, answers it, keeps a copy. Arguments: IMAP port, SMTP port, CA, job."""

import email
import email.policy
import imaplib
import smtplib
import ssl
import sys
from email.message import EmailMessage

imap_port, smtp_port, ca, job = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
user, password = "onay1@ornekas", "onay1-parola"

imap = imaplib.IMAP4_SSL("127.0.0.1", imap_port, ssl_context=context, timeout=60)
imap.login(user, password)
sent_before = imap.select('"Giden Kutusu"')[1][0]
assert imap.select("INBOX")[0] == "OK"
_, found = imap.uid("SEARCH", None, "HEADER", "X-KEP-Is", job)
uids = found[0].split()
assert len(uids) == 1, found
_, data = imap.uid("FETCH", uids[0], "(BODY.PEEK[])")
status = email.message_from_bytes(data[0][1], policy=email.policy.default)
assert status["Subject"] == "Re: [Onay bekliyor 1/2] Fiyat TEKLİFİ", status["Subject"]
assert status["Auto-Submitted"] == "auto-generated"
text = status.get_body(("plain",)).get_content()
assert "Sıra sizde." in text and "It is your turn." in text, text
assert "lang=\"tr\"" in status.get_body(("html",)).get_content()

answer = EmailMessage(policy=email.policy.SMTP)
answer["From"] = status["To"]
answer["To"] = status["Reply-To"]
answer["Subject"] = status["Subject"]
answer["Message-ID"] = "<cevap@ornek>"
answer["In-Reply-To"] = status["Message-ID"]
answer["References"] = f'{status["References"]} {status["Message-ID"]}'
quoted = "\n".join("> " + line for line in text.splitlines())
answer.set_content(f"Şartnameyi de ekleyin.\nİyi çalışmalar\n\nOn Wed, KEPHS wrote:\n{quoted}\n", cte="quoted-printable")
answer.add_alternative("<html><body><p>Şartnameyi de ekleyin.</p><blockquote>...</blockquote></body></html>", subtype="html")
octets = answer.as_bytes()

with smtplib.SMTP_SSL("127.0.0.1", smtp_port, context=context, timeout=60) as smtp:
    smtp.login(user, password)
    assert smtp.sendmail("ornekas@hs01.kep.test", [status["Reply-To"]], octets) == {}

assert imap.append('"Giden Kutusu"', "(\\Seen)", None, octets)[0] == "OK"
assert imap.select('"Giden Kutusu"')[1][0] == sent_before
imap.logout()
print("all held")
