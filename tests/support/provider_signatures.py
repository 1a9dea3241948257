"""Signs webhooks as their providers do: Stripe's by Stripe's own library, Shopify's by Python's hmac.

Reads a JSON list of {"provider", "secret", "time", "body"} from standard input, and writes the list of signatures.
What Stripe's library has signed its own verifier must accept, or nothing is written.
"""

import base64
import hashlib
import hmac
import json
import sys

import stripe


def of_stripe(secret, time, body):
    scheme = stripe.WebhookSignature.EXPECTED_SCHEME
    signed = stripe.WebhookSignature._compute_signature(f"{time}.{body}", secret)
    header = f"t={time},{scheme}={signed}"
    stripe.WebhookSignature.verify_header(body, header, secret)
    return header


def of_shopify(secret, body):
    digest = hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def signature(webhook):
    if webhook["provider"] == "stripe":
        return of_stripe(webhook["secret"], webhook["time"], webhook["body"])
    return of_shopify(webhook["secret"], webhook["body"])


json.dump([signature(webhook) for webhook in json.load(sys.stdin)], sys.stdout)
