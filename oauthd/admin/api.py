"""The admin API as a whole: its resources, and the endpoints they make, with the document that describes them."""

from __future__ import annotations

from collections.abc import Iterable

from oauthd.admin.declarations import Access, AdminEndpoint, endpoints_of
from oauthd.admin.openapi import OpenApi, Places


def endpoints(resources: Iterable[object], access: Access, issuer: str, places: Places) -> dict[str, AdminEndpoint]:
    """Every endpoint of the admin API by its name in the route table, the OpenAPI document included.

    :param places: the route table: path, and names of endpoints by method.
    :raises LookupError: when an operation is not in the route table.
    :raises TypeError: when path and declaration name different arguments.
    """
    made: dict[str, AdminEndpoint] = {}
    for resource in resources:
        made.update(endpoints_of(resource, access))
    return made | dict(endpoints_of(OpenApi(issuer, dict(made), tuple(places)), access))
