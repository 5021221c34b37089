"""The session of botocore: region, credentials, service models, and signed headers.

IAM: none.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import botocore.session
from boto3.session import Session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, UnknownRegionError
from botocore.loaders import Loader, create_loader
from botocore.parsers import JSONParser, ResponseParserFactory
from botocore.utils import parse_timestamp

from controller.errors import UsageError

_READ_AS_THEY_ARE: Final = frozenset({"boolean", "double", "float", "integer", "long", "string"})


class ServiceModels(Loader):
    """Loads the model of a service; every folder counts as a service that is known.

    botocore lists the services that it knows before it loads a model, and looks into the folders of
    all of them, for each type of model: 3,000 files, which takes a twentieth of a tick.
    """

    def __init__(self, paths: list[str]) -> None:
        super().__init__(paths, include_default_search_paths=False)  # type: ignore[no-untyped-call]

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the names of all folders; some may have no model of `type_name`."""
        folders = [folder for path in self.search_paths if (folder := Path(path)).is_dir()]
        return [service.name for folder in folders for service in folder.iterdir()]


@cache
def service_models(data_path: str | None) -> ServiceModels:
    """Return the models of this process, each read once. data_path: AWS_DATA_PATH, or None."""
    return ServiceModels(create_loader(data_path).search_paths)


@lru_cache(maxsize=8_192)  # the metrics of a tick have the same stamps, of three days at most
def moment_of(value: Any) -> datetime:
    """Return the moment in an answer of AWS; seconds since 1970 become one in UTC.

    botocore makes one in the zone of this machine of them, with dateutil. That took a third of the
    processor time of a tick, whose metrics have a thousand stamps a rollout. Raises ValueError.
    """
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError("no moment has so many seconds") from error
    moment: datetime = parse_timestamp(value)
    return moment


class JsonParser(JSONParser):
    """Parses an answer in JSON; the numbers of a list without a call for each of them.

    Metrics are two thousand numbers a rollout, and those calls took a tenth of a tick's processor
    time. Each attribute of an item may have ten types, of which botocore looks for all.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        # By structure. Each client has its own: a process that ticks for weeks makes many of them.
        self._members_by_key: dict[Any, Mapping[str, tuple[str, Any]]] = {}

    def _handle_structure(self, shape: Any, value: Any) -> Any:
        if shape.is_document_type or shape.is_tagged_union or not isinstance(value, dict):
            return super()._handle_structure(shape, value)  # type: ignore[no-untyped-call]
        members, parsed = self._members(shape), {}
        for key, part in value.items():
            if part is not None and key in members:
                name, member = members[key]
                parsed[name] = self._parse_shape(member, part)  # type: ignore[no-untyped-call]
        return parsed

    def _members(self, shape: Any) -> Mapping[str, tuple[str, Any]]:
        """Return name and shape of each member of a structure, by its key in JSON."""
        if shape not in self._members_by_key:
            self._members_by_key[shape] = {
                member.serialization.get("name", name): (name, member)
                for name, member in shape.members.items()
            }
        return self._members_by_key[shape]

    def _handle_list(self, shape: Any, node: Any) -> list[Any]:
        kind = shape.member.type_name
        if kind in _READ_AS_THEY_ARE:
            return list(node)
        if kind == "timestamp":
            return [None if one is None else moment_of(one) for one in node]
        parsed: list[Any] = super()._handle_list(shape, node)  # type: ignore[no-untyped-call]
        return parsed


class Parsers(ResponseParserFactory):
    """Makes the parsers of a session."""

    def create_parser(self, protocol_name: str) -> Any:
        """Return a new parser of answers in `protocol_name`."""
        if protocol_name == "json":
            return JsonParser(**self._defaults)
        return super().create_parser(protocol_name)  # type: ignore[no-untyped-call]


def open_session() -> Any:
    """Return a boto3 session. Raises UsageError without a region or credentials."""
    core = botocore.session.get_session()
    core.register_component("data_loader", service_models(core.get_config_variable("data_path")))
    parsers = Parsers()  # type: ignore[no-untyped-call]
    parsers.set_parser_defaults(timestamp_parser=moment_of)  # type: ignore[no-untyped-call]
    core.register_component("response_parser_factory", parsers)
    session = Session(region_name=os.environ.get("AWS_REGION") or None, botocore_session=core)
    if session.region_name is None:
        raise UsageError("no AWS region is named: set AWS_REGION, or a region in the profile")
    if session.get_credentials() is None:
        raise UsageError(
            "there are no AWS credentials: log in and set AWS_PROFILE, or give the task a role"
        )
    return session


def region_here() -> str | None:
    """Return the region from the AWS variables or the profile; None without one."""
    try:
        return os.environ.get("AWS_REGION") or botocore.session.Session().get_config_variable(
            "region"
        )
    except BotoCoreError as error:
        raise UsageError(f"the AWS profile cannot be read: {error}") from error


def partition_of(region: str) -> str:
    """Return the partition of `region`, like aws-cn. Raises UsageError for an unknown region."""
    try:
        return str(botocore.session.Session().get_partition_for_region(region))
    except UnknownRegionError as error:
        raise UsageError(f"AWS has no region {region!r}; write one like eu-central-1") from error


def signed_headers(
    credentials: Any, service: str, region: str, url: str, body: bytes, headers: Mapping[str, str]
) -> dict[str, str]:
    """Return `headers` with the signature (version 4) of a POST that no client of boto3 makes."""
    request = AWSRequest("POST", url, dict(headers), body)
    SigV4Auth(credentials.get_frozen_credentials(), service, region).add_auth(request)
    return dict(request.headers.items())
