"""A receiver of hooks: it checks who has sent a call, and answers it.

headers: the mapping of a web framework (case-insensitive `get`). body: the raw bytes.
"""

import hashlib
import hmac
import json
import re


def verified(key, headers, body, now, tolerance_s=300):
    """Tell whether a request with these headers and this body (bytes) was signed with `key`."""
    stamp = str(headers.get("X-Rolloutctl-Timestamp") or "")
    given = str(headers.get("X-Rolloutctl-Signature") or "")
    if not re.fullmatch("[0-9]{1,12}", stamp):  # int() takes spaces, signs and other digits
        return False
    signed = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    # As bytes: compare_digest refuses text that is not ASCII.
    sound = hmac.compare_digest(f"v1={signed}".encode(), given.encode(errors="replace"))
    return sound and abs(now - int(stamp)) <= tolerance_s


def receive(key, headers, body, now, decide):
    """Return the status and the body of the answer.

    decide: takes the call, and returns a reason against it, or None.
    """
    if not verified(key, headers, body, now):
        return 401, b""
    try:
        call = json.loads(body)
    except ValueError:
        return 400, b""
    if not isinstance(call, dict):
        return 400, b""
    against = decide(call)
    return 200, json.dumps({"allow": against is None, "reason": against}).encode()
