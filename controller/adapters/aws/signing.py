"""Signatures of requests to AWS that no client of boto3 makes: version 4. IAM: none."""

from collections.abc import Mapping
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest


def signed_headers(
    credentials: Any,
    service: str,
    region: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
) -> dict[str, str]:
    """Return `headers` with those of the signature of a POST."""
    request = AWSRequest("POST", url, dict(headers), body)
    signer = SigV4Auth(credentials.get_frozen_credentials(), service, region)
    signer.add_auth(request)
    return dict(request.headers.items())
