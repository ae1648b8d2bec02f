"""What the API says no with."""

from __future__ import annotations


class ApiError(Exception):
    """A refusal.

    Args:
        status: HTTP status.
        text: The ``error`` of the answer's body.
    """

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(f"{status} {text}")


def bad_body(why: str) -> ApiError:
    """A body that cannot be read: 400, in Toxiproxy's words."""
    return ApiError(400, f"bad request body: {why}")
