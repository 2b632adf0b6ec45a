"""The commands of fixes: where the settings are, and quoting."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools.doctor.fixes import Fixes, Home, Principal, Template, quoted

NAME, VALUE = "METRICS_REGION", "west europe"
AZ = "az functionapp config appsettings"
OPTIONS = "--name relay --resource-group g"


def fixes_at(home: Home, **given: frozenset[str]) -> Fixes:
    return Fixes(home=home, file="x.json", app="relay", group="g", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("home", "set_it", "unset"),
    [
        (Home.SHELL, "export METRICS_REGION='west europe'", "unset METRICS_REGION"),
        (
            Home.FILE,
            "# In x.json, set METRICS_REGION='west europe'",
            "# In x.json, remove METRICS_REGION",
        ),
        (Home.RUN, "export METRICS_REGION='west europe'", "unset METRICS_REGION"),
        (
            Home.APP,
            f"{AZ} set {OPTIONS} --settings 'METRICS_REGION=west europe'",
            f"{AZ} delete {OPTIONS} --setting-names METRICS_REGION",
        ),
    ],
)
def test_a_setting_is_changed_where_it_is(home: Home, set_it: str, unset: str) -> None:
    fixes = fixes_at(home)
    assert fixes.set(NAME, VALUE)[-1] == set_it
    assert fixes.unset(NAME)[-1] == unset


@pytest.mark.parametrize("home", Home)
def test_a_setting_of_this_shell_is_changed_here(home: Home) -> None:
    fixes = fixes_at(home, shell_settings=frozenset({NAME}))
    assert fixes.set(NAME, "x") == ["export METRICS_REGION=x"]
    assert fixes.unset(NAME) == ["unset METRICS_REGION"]


def test_what_is_not_known_stays_a_variable() -> None:
    for home in Home:
        assert '$REGION"' in fixes_at(home).set(NAME, Template("$REGION"))[-1]
    assert fixes_at(Home.FILE).set(NAME, Template("$(az x)")) == [
        "# In x.json, set METRICS_REGION to what this prints:",
        "az x",
    ]


def test_a_role_is_granted_to_the_identity_and_to_the_app() -> None:
    assign = "az role assignment create --role Reader --scope /subscriptions/1"
    user = Principal(object_id="me", is_user=True)
    assert Fixes().grant("Reader", user, "/subscriptions/1")[0] == (
        f"{assign} --assignee-object-id me --assignee-principal-type User"
    )
    fixes = Fixes(app="relay", group="g", substituted=True)
    assert fixes.grant("Reader", Principal(), "/subscriptions/1")[-1] == (
        f'{assign} --assignee "$(az functionapp identity show {OPTIONS} --query principalId '
        '-o tsv)"'
    )


def test_the_tools_are_called_as_this_call_was() -> None:
    fixes = Fixes(program="m", settings_options=("--settings", "an app.json"))
    assert fixes.tool("dead-letter", "list") == "m dead-letter list --settings 'an app.json'"
    again = "m doctor --credential azure_cli --settings 'an app.json'"
    assert fixes.use_own_identity()[:2] == ["az login", again]


def test_the_log_of_an_app_in_azure_is_queried() -> None:
    # Flex Consumption has no log stream.
    assert fixes_at(Home.APP).read_log()[-1] == (
        'az monitor app-insights query --apps "$(az resource list --resource-group g '
        "--resource-type Microsoft.Insights/components --query '[0].id' -o tsv)\" "
        "--analytics-query 'traces | project timestamp, message "
        "| order by timestamp desc | take 50'"
    )


def test_the_log_and_azurite_have_a_fix_everywhere() -> None:
    assert all(fixes_at(home).read_log() for home in Home)
    assert Fixes().start_azurite(None)[-1].endswith("--queuePort 10001")


def said_by_bash(words: str) -> str:
    echo = ["bash", "-c", f"printf '%s|' {words}"]
    return subprocess.run(echo, check=True, capture_output=True, timeout=60).stdout.decode()


# All that an app setting can hold.
values = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))


@given(values)
@example('[{"path": "$.items", "name": "$(touch x)`touch y`"}]')
@example("a \\ and '")
@example("two\nlines\x1b[2J")
def test_a_value_comes_through_the_shell_or_stays_a_variable(value: str) -> None:
    assert said_by_bash(quoted(value)) == (f"{value}|" if value.isprintable() else "|")
    assert quoted(value).isprintable()


def test_a_template_is_expanded() -> None:
    assert said_by_bash(quoted(Template("a b,$((1 + 1))"))) == "a b,2|"


def test_the_names_of_settings_are_quoted_too() -> None:
    for home in Home:
        for line in (*fixes_at(home).set("A$(x)", "1"), *fixes_at(home).unset("A$(x)")):
            assert line.startswith("#") or "'A$(x)" in line
