"""Recomputes SCRAM exchanges from their messages alone (RFC 5802 3, RFC 7677, RFC 9266), by hashlib and hmac: reads
[{"password", "exporter": HEX or null, "messages": [client first, server first, client final, server final]}] from stdin.
"""

import base64
import hashlib
import hmac
import json
import sys


def mac(key, text):
    return hmac.new(key, text, "sha256").digest()


def attributes(message):
    return dict(part.split("=", 1) for part in message.split(","))


exchanges = json.load(sys.stdin)
for exchange in exchanges:
    client_first, server_first, client_final, server_final = exchange["messages"]
    flag, authzid, bare = client_first.split(",", 2)
    header = (flag + "," + authzid + ",").encode()
    channel = header
    if exchange["exporter"]:
        assert flag == "p=tls-exporter", flag
        channel += bytes.fromhex(exchange["exporter"])
        assert len(channel) == len(header) + 32
    else:
        assert flag in ("n", "y"), flag
    said, answered = attributes(server_first), attributes(client_final)
    assert said["r"].startswith(attributes(bare)["r"]) and answered["r"] == said["r"]
    assert base64.b64decode(answered["c"]) == channel, "the channel binding"
    without_proof = client_final.rsplit(",p=", 1)[0]
    message = ",".join([bare, server_first, without_proof]).encode()
    salt, rounds = base64.b64decode(said["s"]), int(said["i"])
    salted = hashlib.pbkdf2_hmac("sha256", exchange["password"].encode(), salt, rounds)
    client_key = mac(salted, b"Client Key")
    signature = mac(hashlib.sha256(client_key).digest(), message)
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    assert base64.b64decode(answered["p"]) == proof, "the client's proof"
    assert base64.b64decode(attributes(server_final)["v"]) == mac(mac(salted, b"Server Key"), message), "the server's"
print(len(exchanges), "held")
