"""The fence: which resource IDs are inside, and which scopes are none."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.pipeline.fence import Fence
from shared.resource_ids import checked_resource_id

GROUP = "/subscriptions/1/resourceGroups/shop"
SITE = f"{GROUP}/providers/Microsoft.Web/sites/one"


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_no_fence_allows_everything(text: str) -> None:
    assert Fence.of(text) == Fence()
    assert Fence.of(text).allows(SITE)


# Scopes, a resource ID, and whether it is inside.
CASES = {
    "subscription": ("/subscriptions/1", SITE, True),
    "another subscription": ("/subscriptions/2", SITE, False),
    "a subscription that begins alike": (
        "/subscriptions/1",
        SITE.replace("/subscriptions/1/", "/subscriptions/12/"),
        False,
    ),
    "a subscription that the scope begins with": ("/subscriptions/12", SITE, False),
    "resource group": (GROUP, SITE, True),
    "a group that begins alike": (GROUP, SITE.replace("/shop/", "/shop2/"), False),
    "a group that goes on with a dot": (GROUP, SITE.replace("/shop/", "/shop.test/"), False),
    "a group that goes on with a hyphen": (GROUP, SITE.replace("/shop/", "/shop-test/"), False),
    "a group that the scope begins with": (f"{GROUP}s", SITE, False),
    "the group of another subscription": (
        GROUP,
        SITE.replace("/subscriptions/1/", "/subscriptions/2/"),
        False,
    ),
    "provider": (f"{GROUP}/providers/Microsoft.Web", SITE, True),
    "a provider that begins alike": (f"{GROUP}/providers/Microsoft.We", SITE, False),
    "type": (f"{GROUP}/providers/Microsoft.Web/sites", SITE, True),
    "another type": (f"{GROUP}/providers/Microsoft.Web/serverFarms", SITE, False),
    "the resource itself": (SITE, SITE, True),
    "the resource with a slash": (f"{SITE}/", SITE, True),
    "below the resource": (SITE, f"{SITE}/slots/test", True),
    "an extension of the resource": (SITE, f"{SITE}/providers/A.B/c/d", True),
    "a resource that begins alike": (SITE, f"{SITE}2", False),
    "above the scope": (f"{SITE}/slots/test", SITE, False),
    "beside the scope": (f"{SITE}/slots/test", f"{SITE}/slots/live", False),
    "the scope further within": (
        GROUP,
        "/subscriptions/2/resourceGroups/subscriptions/providers/A.B/1/resourceGroups/c/shop",
        False,
    ),
    "case of the scope": (GROUP.upper(), SITE, True),
    "case of the resource": (GROUP, SITE.upper(), True),
    "case of both": (GROUP.lower(), SITE.upper(), True),
    "slash last": (f"{GROUP}/", SITE, True),
    "slashes last": (f"{GROUP}//", SITE, True),
    "slash last, begins alike": (f"{GROUP}/", SITE.replace("/shop/", "/shop2/"), False),
    "first of two": (f"{GROUP},/subscriptions/2", SITE, True),
    "second of two": (f"/subscriptions/2,{GROUP}", SITE, True),
    "neither of two": ("/subscriptions/2,/subscriptions/3", SITE, False),
    "spaces": (f"  /subscriptions/2 ,\n {GROUP}\t", SITE, True),
    "empty parts": (f",, {GROUP} ,", SITE, True),
    "empty parts allow nothing": (", /subscriptions/2,,", SITE, False),
}


@pytest.mark.parametrize(("scopes", "resource_id", "inside"), CASES.values(), ids=CASES)
def test_whole_segments_are_compared_without_case(
    scopes: str, resource_id: str, inside: bool
) -> None:
    assert checked_resource_id(resource_id)
    assert Fence.of(scopes).allows(resource_id) is inside


BAD = {
    "a word": ("shop", "'shop'"),
    "a slash": ("/", "''"),
    "no slash first": ("subscriptions/1", "'subscriptions/1'"),
    "two slashes first": ("//subscriptions/1", "'//subscriptions/1'"),
    "no subscription": ("/subscriptions", "'/subscriptions'"),
    "no subscription but a slash": ("/subscriptions/", "'/subscriptions'"),
    "resource group alone": ("/resourceGroups/shop", "'/resourceGroups/shop'"),
    "management group": (
        "/providers/Microsoft.Management/managementGroups/all",
        "'/providers/Microsoft.Management/managementGroups/all'",
    ),
    "begins alike": ("/subscriptionsX/1", "'/subscriptionsX/1'"),
    "two slashes within": (
        "/subscriptions/1//resourceGroups/shop",
        "'/subscriptions/1//resourceGroups/shop'",
    ),
    "space within": ("/subscriptions/1/resourceGroups/the shop", None),
    "newline for a comma": ("/subscriptions/1\n/subscriptions/2", None),
    "semicolon and space": ("/subscriptions/1; /subscriptions/2", None),
    "a URL": ("https://management.azure.com/subscriptions/1", None),
    "only looks right": ("/sub\u0455criptions/1", r"'/sub\u0455criptions/1'"),
    "beside a good one": ("/subscriptions/1,shop", "'shop'"),
}


@pytest.mark.parametrize(("text", "shown"), BAD.values(), ids=BAD)
def test_what_is_no_scope_is_refused(text: str, shown: str | None) -> None:
    with pytest.raises(ValueError, match="resource ID") as caught:
        Fence.of(text)
    assert str(caught.value) == (
        f"{shown or ascii(text)} is no beginning of a resource ID, such as /subscriptions/… or "
        "/subscriptions/…/resourceGroups/…"
    )


@pytest.mark.parametrize("text", [",", " , ", ",,\n"])
def test_a_list_of_nothing_does_not_allow_everything(text: str) -> None:
    with pytest.raises(ValueError, match="commas") as caught:
        Fence.of(text)
    assert str(caught.value) == ("expected resource IDs or beginnings of them, with commas between")


# Few and much alike, so that scopes and resources often meet.
_SEGMENTS = st.lists(st.sampled_from(["a", "A", "ab", "b", "1", "12"]), min_size=1, max_size=5)


@given(st.lists(_SEGMENTS, min_size=1, max_size=3), _SEGMENTS)
@example([["1"]], ["12"])
@example([["a", "B"]], ["A", "b", "c"])
def test_a_scope_allows_what_has_its_segments_first(
    scopes: list[list[str]], segments: list[str]
) -> None:
    def path(of: list[str]) -> str:
        return "/".join(["/subscriptions", *of])

    lowered = [segment.lower() for segment in segments]
    expected = any(
        lowered[: len(scope)] == [segment.lower() for segment in scope] for scope in scopes
    )
    assert Fence.of(",".join(map(path, scopes))).allows(path(segments)) is expected
