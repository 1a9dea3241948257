import hashlib
import hmac
import re


class CallbackRefused(Exception):
    """The callback is not genuine: answer 401."""


def verify_callback(secrets, headers, body, now):
    """Raises CallbackRefused unless one of the secrets signed this body, within 300 s of now.

    Raises ValueError, which is no 401, where there is no secret or one of them is none: with an empty one anybody
    could sign.

    secrets: a list, each as it was shown, with its spsec_
    headers: a mapping that finds lower-case names, as the request headers of Flask and Django do
    body:    the raw bytes, as they came
    now:     Unix seconds: int(time.time())
    """
    if not secrets or not all(re.fullmatch("spsec_[0-9A-Za-z]{32,}", secret or "") for secret in secrets):
        raise ValueError("a signing secret is missing, or is not spsec_ and at least 32 letters and digits")
    names = ("timestamp", "nonce", "signature")
    timestamp, nonce, signature = (headers.get("x-sendpromptly-" + name) for name in names)
    if timestamp is None or nonce is None or signature is None:
        raise CallbackRefused("missing_header")
    if not re.fullmatch("[0-9]{1,20}", timestamp) or not re.fullmatch("[0-9a-f]{32}", nonce):
        raise CallbackRefused("malformed_header")
    candidates = []
    parts = signature.split(",")
    for part in parts:
        scheme, equals, digits = part.strip(" \t").partition("=")
        if not equals:
            scheme, digits = "v1", scheme  # the bare digits
        if scheme == "v1" and re.fullmatch("[0-9a-f]{64}", digits):
            candidates.append(bytes.fromhex(digits))
        elif scheme in ("", "v1"):
            raise CallbackRefused("malformed_header")
    if len(parts) > 16:
        raise CallbackRefused("malformed_header")
    age = now - int(timestamp)
    if age > 300:
        raise CallbackRefused("stale")
    if age < -300:
        raise CallbackRefused("from_future")
    signed = f"{timestamp}.{nonce}.".encode() + body
    genuine = False
    for secret in secrets:
        expected = hmac.digest(secret.encode(), signed, hashlib.sha256)
        for candidate in candidates:
            genuine |= hmac.compare_digest(candidate, expected)
    if not genuine:
        raise CallbackRefused("wrong_signature")


# What follows runs the vectors: python3 verify.py callbacks.json

if __name__ == "__main__":
    import json
    import sys

    def outcome(row):
        headers = {}
        for name, value in row["headers"]:  # one that stands twice is joined, as servers do
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        try:
            verify_callback(row["secrets"], headers, bytes.fromhex(row["body_hex"]), row["now"])
            return "verified"
        except CallbackRefused as refusal:
            return str(refusal)
        except ValueError:
            return "wrong_secrets"

    with open(sys.argv[1], encoding="utf-8") as file:
        rows = json.load(file)["callbacks"]
    unset = {"name": "a secret that is not set", "secrets": [*rows[0]["secrets"], None], "expected": "wrong_secrets"}
    rows.append({**rows[0], **unset})
    failures = [
        f"{row['name']}: {outcome(row)} where {row['expected']} is expected"
        for row in rows
        if outcome(row) != row["expected"]
    ]
    print("\n".join(failures + [f"{len(rows)} callbacks, {len(failures)} failures"]))
    sys.exit(1 if failures or not rows else 0)
