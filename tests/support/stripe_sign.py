"""Signs webhooks by Stripe's own library, and checks that its verifier takes what it made.

A line of JSON in, {"secret", "time", "body"}; the header out.
"""

import json
import sys

from stripe import WebhookSignature

for line in sys.stdin:
    order = json.loads(line)
    body, secret = order["body"], order["secret"]
    header = WebhookSignature.generate_signature_header(body, secret, timestamp=order["time"])
    WebhookSignature.verify_header(body, header, secret, tolerance=None)
    print(header, flush=True)
