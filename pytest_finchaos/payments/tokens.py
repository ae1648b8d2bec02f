"""Bearer tokens: a signed name and an expiry, valid at every gateway that knows the secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

LIFETIME_S = 4 * 3600


def issue(user: str, *, secret: bytes, now_s: float) -> str:
    """A token for ``user`` that ends ``LIFETIME_S`` after ``now_s`` (seconds since the epoch)."""
    claim = f"{int(now_s) + LIFETIME_S}:{user}".encode()
    return f"{_text(claim)}.{_text(_signature(claim, secret))}"


def user_of(token: str, *, secret: bytes, now_s: float) -> str | None:
    """Who holds ``token``, or None when it is forged, damaged or expired."""
    claim_text, _, signature_text = token.partition(".")
    try:
        claim, signature = _bytes(claim_text), _bytes(signature_text)
    except (ValueError, binascii.Error):
        return None
    if not hmac.compare_digest(signature, _signature(claim, secret)):
        return None
    expiry, _, user = claim.decode().partition(":")
    return user if now_s < int(expiry) else None


def password_matches(password: str, *, salt: str, digest: str) -> bool:
    """Whether ``password`` is the one that ``digest`` was made of."""
    made = hashlib.sha256((salt + password).encode()).hexdigest()
    return hmac.compare_digest(made, digest)


def _signature(claim: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, claim, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
