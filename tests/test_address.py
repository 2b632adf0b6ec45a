"""Resource IDs and regions: the last thing between a message and where a token is sent."""

from __future__ import annotations

import pytest
import requests
from builders import RESOURCE
from hypothesis import example, given
from hypothesis import strategies as st

from shared.resource_ids import Parent, checked_region, checked_resource_id, parent_of, shown

GROUP = "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/orders"
LOOKS_LIKE = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
LONGEST_REGION = "a" * 40


def of_length(length: int) -> str:
    """A resource ID of that many characters."""
    text = f"{GROUP}/providers/A.B/c"
    while len(text) < length - 400:
        text += "/" + "d" * 200 + "/" + "e" * 60
    rest = length - len(text) - 1
    if rest > 260:
        text, rest = f"{text}/{'f' * 100}/c", rest - 103
    return f"{text}/{'g' * rest}"


RESOURCE_IDS = {
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
    "longest name": f"{GROUP}/providers/A.B/c/{'d' * 260}",
    "longest type": f"{GROUP}/providers/A.B/{'c' * 80}/d",
}


@pytest.mark.parametrize("text", RESOURCE_IDS.values(), ids=RESOURCE_IDS)
def test_a_resource_id_is_taken_as_it_is(text: str) -> None:
    assert checked_resource_id(text) == text


NOT_RESOURCES = {
    "subscription": (GROUP.partition("/resourceGroups")[0], "a subscription"),
    "subscription with a slash": ("/subscriptions/0/", "a subscription"),
    "group": (GROUP, "a resource group"),
    "group with a slash": (f"{GROUP}/", "a resource group"),
    "group, other case": (GROUP.lower(), "a resource group"),
}


@pytest.mark.parametrize(("text", "what"), NOT_RESOURCES.values(), ids=NOT_RESOURCES)
def test_what_holds_resources_is_none_itself(text: str, what: str) -> None:
    with pytest.raises(ValueError, match="a metric belongs") as caught:
        checked_resource_id(text)
    assert str(caught.value) == f"'{text}' is {what}; a metric belongs to a resource: {LOOKS_LIKE}"


NOT_RESOURCE_IDS = {
    "nothing": "",
    "a word": "orders",
    "no slash first": RESOURCE[1:],
    "two slashes first": "/" + RESOURCE,
    "a slash last": f"{RESOURCE}/",
    "two slashes within": RESOURCE.replace("/providers", "//providers"),
    "no name": RESOURCE.rpartition("/")[0],
    "no type": f"{GROUP}/providers/Microsoft.Storage",
    "child without name": f"{RESOURCE}/queueServices",
    "extension without name": f"{RESOURCE}/providers/A.B/c",
    "empty namespace": f"{GROUP}/providers//c/d",
    "namespace of dots": f"{GROUP}/providers/../c/d",
    "namespace ends with a dot": f"{GROUP}/providers/A./c/d",
    "a URL": f"https://management.azure.com{RESOURCE}",
    "user information": f"@evil.example{RESOURCE}",
    "user information within": RESOURCE.replace("orders", "a@evil.example"),
    "a port": f":443{RESOURCE}",
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
    "name too long": f"{GROUP}/providers/A.B/c/{'d' * 261}",
    "type too long": f"{GROUP}/providers/A.B/{'c' * 81}/d",
    "subscription too long": f"/subscriptions/{'0' * 65}/resourceGroups/g/providers/A.B/c/d",
}


@pytest.mark.parametrize("text", NOT_RESOURCE_IDS.values(), ids=NOT_RESOURCE_IDS)
def test_a_resource_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="resource ID") as caught:
        checked_resource_id(text)
    assert str(caught.value) == f"{shown(text)} is not a resource ID: {LOOKS_LIKE}"


def test_a_resource_id_has_1900_characters_at_most() -> None:
    longest = of_length(1900)
    assert len(longest) == 1900
    assert checked_resource_id(longest) == longest
    with pytest.raises(ValueError, match=r"^1901 characters, at most 1900$"):
        checked_resource_id(of_length(1901))


NASTY = st.lists(
    st.sampled_from(
        "/providers /providers/A.B /providers/providers /a/b /a a. . - / A.A.A.A % é "
        f"/subscriptions/0/resourceGroups/g {'a' * 80} {'a' * 81} {'a' * 260}".split()
    ),
    min_size=1,
    max_size=700,
).map(lambda parts: f"{GROUP}/providers/A.B{''.join(parts)}"[:1900])


# A pattern that backtracks would need ages.
@given(NASTY)
@example(f"{GROUP}/providers/A.B" + "/a/b" * 440 + "/")
@example(f"{GROUP}/providers/" + "A." * 900)
@example(f"{GROUP}" + "/providers/A.B/c/d" * 100 + "!")
@example(f"{GROUP}" + "/providers/providers" * 90 + "/")
@example("/subscriptions/0/resourceGroups/" + "." * 1860)
def test_a_nasty_resource_id_is_soon_judged(text: str) -> None:
    judged(text)


PARENTS = {
    "itself": RESOURCE,
    "child": f"{RESOURCE}/queueServices/default",
    "child of a child": f"{RESOURCE}/queueServices/default/queues/orders",
    "extension": f"{RESOURCE}/providers/Microsoft.Insights/diagnosticSettings/all",
    "extension of a child": f"{RESOURCE}/queueServices/default/providers/A.B/c/d",
    "extension of its own type": f"{RESOURCE}/providers/Microsoft.Storage/storageAccounts/other",
    "lower case": RESOURCE.lower(),
    "upper case": RESOURCE.upper(),
}


@pytest.mark.parametrize("text", PARENTS.values(), ids=PARENTS)
def test_the_outermost_resource_is_found(text: str) -> None:
    assert parent_of(text) == Parent(
        RESOURCE.lower(), GROUP.lower(), "microsoft.storage/storageaccounts"
    )


CALLED_PROVIDERS = {
    "group": (
        "/subscriptions/0/resourceGroups/providers/providers/A.B/c/d/e/f",
        Parent(
            "/subscriptions/0/resourcegroups/providers/providers/a.b/c/d",
            "/subscriptions/0/resourcegroups/providers",
            "a.b/c",
        ),
    ),
    "name": (
        f"{GROUP}/providers/A.B/c/providers/providers/E.F/g/h",
        Parent(f"{GROUP.lower()}/providers/a.b/c/providers", GROUP.lower(), "a.b/c"),
    ),
    "namespace": (
        f"{GROUP}/providers/providers/c/d",
        Parent(f"{GROUP.lower()}/providers/providers/c/d", GROUP.lower(), "providers/c"),
    ),
}


@pytest.mark.parametrize(("text", "parent"), CALLED_PROVIDERS.values(), ids=CALLED_PROVIDERS)
def test_what_is_called_providers_misleads_nobody(text: str, parent: Parent) -> None:
    assert parent_of(checked_resource_id(text)) == parent


_NAMES = st.sampled_from(["a", "B", "providers", "subscriptions", "resourceGroups", "x(1)~_.-"])
_TYPES = _NAMES.filter(lambda name: name != "providers").filter(str.isalpha)


@given(
    st.lists(st.tuples(st.just("A.B"), st.lists(st.tuples(_TYPES, _NAMES), min_size=1)), min_size=1)
)
def test_a_parent_is_its_own_and_that_of_all_below(
    parts: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    text = GROUP
    parents: set[Parent] = set()
    for namespace, pairs in parts:
        text += f"/providers/{namespace}"
        for kind, name in pairs:
            text += f"/{kind}/{name}"
            if len(text) <= 1900:
                parents.add(parent_of(checked_resource_id(text)))
    (parent,) = parents
    assert parent_of(parent.resource_id) == parent
    (kind, name) = parts[0][1][0]
    assert parent == Parent(
        f"{GROUP}/providers/a.b/{kind}/{name}".lower(), GROUP.lower(), f"a.b/{kind}".lower()
    )


URL_LIKE = st.lists(
    st.sampled_from([*"/.:@?#%\\ ;aZ0-_~()\t\n\x00é\u212a\uff0f", "..", "%2e", "//", "/a/b"]),
    max_size=8,
).map("".join)


@given(URL_LIKE, URL_LIKE, URL_LIKE)
@example("", "", "")
@example("(x)~", "/_", "")
def test_what_is_accepted_reaches_the_url_unchanged(group: str, tail: str, region: str) -> None:
    resource_id = f"{GROUP}{group}/providers/A.B/c/d{tail}"
    region = f"westeurope{region}"
    if not judged(resource_id) or not judged_region(region):
        return
    url = f"https://{region}.monitoring.azure.com{resource_id}/metrics"
    assert requests.Request("POST", url).prepare().url == url


def judged(text: str) -> bool:
    try:
        return checked_resource_id(text) == text
    except ValueError:
        return False


def judged_region(text: str) -> bool:
    try:
        return checked_region(text) == text
    except ValueError:
        return False


REGIONS = ["westeurope", "eastus2", "usgovvirginia", "chinanorth3", "eu", LONGEST_REGION]


@pytest.mark.parametrize("text", REGIONS)
def test_a_region_is_taken_as_it_is(text: str) -> None:
    assert checked_region(text) == text


NOT_REGIONS = {
    "nothing": "",
    "one letter": "a",
    "too long": f"{LONGEST_REGION}a",
    "upper case": "WestEurope",
    "display name": "West Europe",
    "hyphen": "west-europe",
    "full stop": "westeurope.evil.example",
    "stranger": "evil.example/#",
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
    "NUL": "westeurope\x00",
    "space last": "westeurope ",
    "KELVIN SIGN": "\u212aoreacentral",
    "full-width letters": "\uff57esteurope",
    "full-width digit": "eastus\uff12",
    "superscript digit": "eastus\u00b2",
    "soft hyphen": "west\u00adeurope",
    "braces": "{region}",
}


@pytest.mark.parametrize("text", NOT_REGIONS.values(), ids=NOT_REGIONS)
def test_a_region_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="region") as caught:
        checked_region(text)
    assert str(caught.value) == (
        f"{text!a} is not a region: lower-case letters and digits, such as westeurope"
    )


SHOWN = {
    "plain": ("orders", "'orders'"),
    "only looks right": ("\u212a", r"'\u212a'"),
    "newline": ("a\n", r"'a\n'"),
    "longest": ("a" * 300, f"'{'a' * 300}'"),
    "cut": ("a" * 301, f"'{'a' * 300}'…"),
}


@pytest.mark.parametrize(("text", "quoted"), SHOWN.values(), ids=SHOWN)
def test_text_is_shown_so_that_nothing_hides_in_it(text: str, quoted: str) -> None:
    assert shown(text) == quoted
