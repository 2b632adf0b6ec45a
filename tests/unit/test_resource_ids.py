"""Resource IDs and regions: what is accepted here becomes part of a URL that gets a token."""

from __future__ import annotations

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from shared.resource_ids import (
    MAX_RESOURCE_ID_LENGTH,
    ParentResource,
    parent_of,
    validate_region,
    validate_resource_id,
)
from shared.text import quoted
from tests.unit.rollups import GROUP, RESOURCE

EXAMPLE = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"


def resource_id_of(length: int) -> str:
    """Return a resource ID of this many characters."""
    text = f"{GROUP}/providers/A.B/c"
    while length - len(text) > 260:
        text += f"/{'d' * 100}/e"
    return f"{text}/{'f' * (length - len(text) - 1)}"


VALID = {
    "storage account": RESOURCE,
    "child resource": f"{RESOURCE}/queueServices/default/queues/orders",
    "extension resource": f"{RESOURCE}/providers/Microsoft.Insights/diagnosticSettings/all",
    "extension of a child": f"{GROUP}/providers/A.B/c/d/e/f/providers/G.H/i/j",
    "lower case": RESOURCE.lower(),
    "upper case": RESOURCE.upper(),
    "namespace without a dot": f"{GROUP}/providers/Contoso/things/one",
    "namespace of three parts": f"{GROUP}/providers/A.B.C/things/one",
    "every character": f"{GROUP}(x)_y.z-/providers/A.B/c_d-e/F_(g)~h.i-",
    "name that begins with a dot": f"{GROUP}/providers/A.B/c/.d",
    "group called providers": "/subscriptions/0/resourceGroups/providers/providers/A.B/c/d",
    "name called providers": f"{GROUP}/providers/A.B/c/providers",
    "longest subscription": f"/subscriptions/{'0' * 64}/resourceGroups/g/providers/A.B/c/d",
    "longest name": f"{GROUP}/providers/A.B/c/{'d' * 260}",
    "longest type": f"{GROUP}/providers/A.B/{'c' * 80}/d",
    "longest": resource_id_of(MAX_RESOURCE_ID_LENGTH),
}


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_a_resource_id_is_returned_as_given(text: str) -> None:
    assert validate_resource_id(text) == text


SCOPES = {
    "subscription": (GROUP.partition("/resourceGroups")[0], "a subscription"),
    "subscription with a slash": ("/subscriptions/0/", "a subscription"),
    "group": (GROUP, "a resource group"),
    "group with a slash": (f"{GROUP}/", "a resource group"),
    "group in lower case": (GROUP.lower(), "a resource group"),
}


@pytest.mark.parametrize(("text", "what"), SCOPES.values(), ids=SCOPES)
def test_a_scope_is_not_a_resource(text: str, what: str) -> None:
    with pytest.raises(ValueError, match="a metric belongs") as caught:
        validate_resource_id(text)
    assert str(caught.value) == f"'{text}' is {what}; a metric belongs to a resource: {EXAMPLE}"


INVALID = {
    "empty": "",
    "a word": "orders",
    "no slash first": RESOURCE[1:],
    "two slashes first": "/" + RESOURCE,
    "a slash last": f"{RESOURCE}/",
    "two slashes within": RESOURCE.replace("/providers", "//providers"),
    "no name": RESOURCE.rpartition("/")[0],
    "no type": f"{GROUP}/providers/Microsoft.Storage",
    "child without a name": f"{RESOURCE}/queueServices",
    "extension without a name": f"{RESOURCE}/providers/A.B/c",
    "empty namespace": f"{GROUP}/providers//c/d",
    "namespace of dots": f"{GROUP}/providers/../c/d",
    "namespace that ends with a dot": f"{GROUP}/providers/A./c/d",
    "URL": f"https://management.azure.com{RESOURCE}",
    "user information": f"@evil.example{RESOURCE}",
    "user information within": RESOURCE.replace("orders", "a@evil.example"),
    "port": f":443{RESOURCE}",
    "dot": RESOURCE.replace("/orders/", "/./"),
    "dots": RESOURCE.replace("/orders/", "/../"),
    "dots last": RESOURCE.replace("ordersqueues", ".."),
    "three dots": RESOURCE.replace("ordersqueues", "..."),
    "escaped slash": RESOURCE.replace("ordersqueues", "a%2fb"),
    "escaped dots": RESOURCE.replace("ordersqueues", "%2e%2e"),
    "escaped percent": RESOURCE.replace("ordersqueues", "%252e"),
    "query": f"{RESOURCE}?api-version=1",
    "question mark": f"{RESOURCE}?",
    "fragment": f"{RESOURCE}#",
    "path parameter": f"{RESOURCE};a=b",
    "backslash": RESOURCE.replace("/orders/", "\\orders\\"),
    "backslash last": f"{RESOURCE}\\",
    "space": RESOURCE.replace("ordersqueues", "orders queues"),
    "space last": f"{RESOURCE} ",
    "tab": f"{RESOURCE}\t",
    "newline last": f"{RESOURCE}\n",
    "newline within": RESOURCE.replace("/orders/", "/orders\n/"),
    "carriage return": f"{RESOURCE}\r\nHost: evil.example",
    "NUL": f"{RESOURCE}\x00",
    "delete": f"{RESOURCE}\x7f",
    "line separator": f"{RESOURCE}\u2028",
    "full-width slash": RESOURCE.replace("/orders/", "/orders\uff0f"),
    "full-width letter": RESOURCE.replace("ordersqueues", "\uff4frders"),
    "full-width full stop": RESOURCE.replace("ordersqueues", "\uff0e\uff0e"),
    "full-width digit": RESOURCE.replace("5b2f", "\uff15b2f"),
    "KELVIN SIGN": RESOURCE.replace("ordersqueues", "\u212aeys"),
    "long s": RESOURCE.replace("storageAccounts", "\u017ftorageAccounts"),
    "dotless i": RESOURCE.replace("subscriptions", "subscr\u0131ptions"),
    "Cyrillic letter": RESOURCE.replace("orders/", "\u043erders/"),
    "Arabic digit": RESOURCE.replace("ordersqueues", "\u0661"),
    "zero-width space": f"{RESOURCE}\u200b",
    "right to left": f"{RESOURCE}\u202e",
    "asterisk": RESOURCE.replace("ordersqueues", "*"),
    "quote": RESOURCE.replace("ordersqueues", "a'b"),
    "braces": RESOURCE.replace("ordersqueues", "{region}"),
    "subscription too long": f"/subscriptions/{'0' * 65}/resourceGroups/g/providers/A.B/c/d",
    "name too long": f"{GROUP}/providers/A.B/c/{'d' * 261}",
    "type too long": f"{GROUP}/providers/A.B/{'c' * 81}/d",
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_an_invalid_resource_id_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="resource ID") as caught:
        validate_resource_id(text)
    assert str(caught.value).startswith(f"{quoted(text)} is not a resource ID")
    assert str(caught.value).endswith(f": {EXAMPLE}")


PROBLEMS = {
    "a word": ("orders", ""),
    "no slash first": (RESOURCE[1:], "; it has to begin with /"),
    "a slash last": (f"{RESOURCE}/", "; it ends with /"),
    "two slashes": (f"/{RESOURCE}", "; it contains //"),
    "portal URL": (f"https://portal.azure.com/#@contoso/resource{RESOURCE}", " but a URL"),
    "blank": (
        f"{GROUP}/providers/A.B/c/d e",
        f"; it contains ' ' after {len(GROUP) + 18} characters",
    ),
    "copied placeholder": (
        "/subscriptions/…/resourceGroups/shop",
        "; replace each … by the name or ID that it stands for",
    ),
    "outside ASCII": ("/subscriptions/\u0430", r"; it contains '\u0430' after 15 characters"),
}


@pytest.mark.parametrize(("text", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_the_error_says_what_is_wrong_with_a_resource_id(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="resource ID") as caught:
        validate_resource_id(text)
    assert str(caught.value) == f"{quoted(text)} is not a resource ID{problem}: {EXAMPLE}"


def test_a_resource_id_that_is_too_long_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^1901 characters, at most 1900$"):
        validate_resource_id(resource_id_of(MAX_RESOURCE_ID_LENGTH + 1))


REPETITIVE = st.lists(
    st.sampled_from(
        "/providers /providers/A.B /providers/providers /a/b /a a. . - / A.A.A.A % é "
        f"/subscriptions/0/resourceGroups/g {'a' * 80} {'a' * 81} {'a' * 260}".split()
    ),
    min_size=1,
    max_size=700,
).map(lambda parts: f"{GROUP}/providers/A.B{''.join(parts)}"[:MAX_RESOURCE_ID_LENGTH])


# A pattern that backtracks would not end.
@given(REPETITIVE)
@example(f"{GROUP}/providers/A.B" + "/a/b" * 440 + "/")
@example(f"{GROUP}/providers/" + "A." * 900)
@example(f"{GROUP}" + "/providers/A.B/c/d" * 100 + "!")
@example(f"{GROUP}" + "/providers/providers" * 90 + "/")
@example("/subscriptions/0/resourceGroups/" + "." * 1860)
def test_a_repetitive_resource_id_takes_no_time(text: str) -> None:
    is_valid(text)


def is_valid(resource_id: str) -> bool:
    try:
        return validate_resource_id(resource_id) == resource_id
    except ValueError:
        return False


TYPE = "microsoft.storage/storageaccounts"
PARENTS = {
    "itself": (RESOURCE, RESOURCE, GROUP, TYPE),
    "child": (f"{RESOURCE}/queueServices/default", RESOURCE, GROUP, TYPE),
    "grandchild": (f"{RESOURCE}/queueServices/default/queues/orders", RESOURCE, GROUP, TYPE),
    "extension": (f"{RESOURCE}/providers/A.B/c/d", RESOURCE, GROUP, TYPE),
    "extension of a child": (f"{RESOURCE}/e/f/providers/A.B/c/d", RESOURCE, GROUP, TYPE),
    "upper case": (RESOURCE.upper(), RESOURCE, GROUP, TYPE),
    "group called providers": (
        "/subscriptions/0/resourceGroups/providers/providers/A.B/c/d/e/f",
        "/subscriptions/0/resourceGroups/providers/providers/A.B/c/d",
        "/subscriptions/0/resourceGroups/providers",
        "a.b/c",
    ),
    "name called providers": (
        f"{GROUP}/providers/A.B/c/providers/providers/E.F/g/h",
        f"{GROUP}/providers/A.B/c/providers",
        GROUP,
        "a.b/c",
    ),
    "namespace called providers": (
        f"{GROUP}/providers/providers/c/d",
        f"{GROUP}/providers/providers/c/d",
        GROUP,
        "providers/c",
    ),
}


@pytest.mark.parametrize(("text", "parent", "group", "kind"), PARENTS.values(), ids=PARENTS)
def test_the_parent_is_the_top_level_resource(
    text: str, parent: str, group: str, kind: str
) -> None:
    found = parent_of(validate_resource_id(text))
    assert found == ParentResource(parent.lower(), group.lower(), kind)
    assert parent_of(found.resource_id) == found


REGIONS = {
    "westeurope": "westeurope",
    "eastus2": "eastus2",
    "a" * 40: "a" * 40,
    "West Europe": "westeurope",
    "WestEurope": "westeurope",
    " East US 2 ": "eastus2",
    "eastus" + " " * 94: "eastus",
}


@pytest.mark.parametrize(("text", "expected"), REGIONS.items())
def test_a_region_is_returned_as_a_url_has_it(text: str, expected: str) -> None:
    assert validate_region(text) == expected


INVALID_REGIONS = {
    "empty": "",
    "spaces": "  ",
    "one letter": "a",
    "too long": "a" * 41,
    "too many spaces": "eastus" + " " * 95,
    "hyphen": "west-europe",
    "host": "westeurope.evil.example",
    "host and fragment": "evil.example/#",
    "slash": "westeurope/",
    "user information": "a@evil",
    "port": "westeurope:443",
    "query": "westeurope?",
    "fragment": "westeurope#",
    "backslash": "westeurope\\",
    "escape": "west%65urope",
    "newline last": "westeurope\n",
    "newline first": "\nwesteurope",
    "carriage return": "westeurope\r",
    "tab": "west\teurope",
    "no-break space": "west\u00a0europe",
    "NUL": "westeurope\x00",
    "KELVIN SIGN": "\u212aoreacentral",
    "full-width letter": "\uff57esteurope",
    "full-width digit": "eastus\uff12",
    "superscript digit": "eastus\u00b2",
    "soft hyphen": "west\u00adeurope",
    "braces": "{region}",
}


@pytest.mark.parametrize("text", INVALID_REGIONS.values(), ids=INVALID_REGIONS)
def test_an_invalid_region_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="region") as caught:
        validate_region(text)
    assert str(caught.value) == f"{text!a} is not a region, such as westeurope"


URL_LIKE = st.lists(
    st.sampled_from([*"/.:@?#%\\ ;aZ0-_~()\t\n\x00é\u212a\uff0f", "..", "%2e", "//", "/a/b"]),
    max_size=8,
).map("".join)


@given(URL_LIKE, URL_LIKE, URL_LIKE)
@example("", "", "")
@example("(x)~", "/_", "")
def test_what_is_valid_reaches_the_url_unchanged(group: str, tail: str, region: str) -> None:
    resource_id = f"{GROUP}{group}/providers/A.B/c/d{tail}"
    try:
        url_region = validate_region(f"westeurope{region}")
    except ValueError:
        return
    if is_valid(resource_id):
        url = f"https://{url_region}.monitoring.azure.com{resource_id}/metrics"
        assert requests.Request("POST", url).prepare().url == url
