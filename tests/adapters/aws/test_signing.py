"""Signatures of requests that no client of boto3 makes."""

from botocore.credentials import Credentials

from controller.adapters.aws.session import signed_headers


def test_the_signature_is_for_one_service_in_one_region_and_keeps_the_headers() -> None:
    credentials = Credentials("AKID", "secret", "session")
    url = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/query"
    headers = signed_headers(
        credentials, "aps", "eu-west-1", url, b"query=up", {"Accept-Encoding": "gzip"}
    )
    scheme, _, scope = headers["Authorization"].partition(" Credential=AKID/")
    assert scheme == "AWS4-HMAC-SHA256"
    assert "/eu-west-1/aps/aws4_request, SignedHeaders=" in scope
    assert headers["X-Amz-Security-Token"] == "session"
    assert headers["Accept-Encoding"] == "gzip"
