"""What the mail clients in Python have in common: how a mailbox is named, and what an answer has to be."""
import base64
import re


def name(text):
    """Modified UTF-7, quoted."""
    def shifted(match):
        octets = match.group().encode("utf-16-be")
        return "&" + base64.b64encode(octets).decode().rstrip("=").replace("/", ",") + "-"
    return '"' + re.sub("[^ -~]+", shifted, text.replace("&", "&-")) + '"'


def ok(answer, want="OK"):
    status, data = answer
    assert status == want, (status, data)
    return data
