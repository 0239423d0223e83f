"""Documents, numbers and errors, without a registry."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plugin_registry
from plugin_registry import UNSET, Event, Forbidden, Masked, PluginMetadata, Refused, SecretMasked
from plugin_registry._core import json_codec, query
from plugin_registry._core.errors import of_problem, refused
from plugin_registry._core.masked import mark, refuse_masks
from plugin_registry._core.record import merge_patch, registration

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def apply(document: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply(result.get(name), value)
    return result


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_null(each) for name, each in value.items() if each is not None}
    return value


OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@given(OBJECTS, OBJECTS)
def test_a_patch_leads_from_one_document_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    before, after = without_null(before), without_null(after)
    assert apply(before, merge_patch(before, after)) == after


@given(JSON)
def test_json_keeps_every_value(value: Any) -> None:
    try:
        text = json_codec.dumps(value)
    except UnicodeEncodeError:
        return  # A lone surrogate is no text.
    assert json_codec.loads(text) == value


@pytest.mark.parametrize("digits", ["0.1000", "1e400", "-1.5E-7", "123456789012345678901234567890.5"])
def test_exact_numbers_keep_their_digits(digits: str) -> None:
    number = json_codec.loads(digits, exact=True)
    assert isinstance(number, Decimal) and Decimal(json_codec.dumps(number).decode()) == Decimal(digits)


def test_a_number_beyond_a_float_is_never_infinite() -> None:
    assert json_codec.loads("1e400") == Decimal("1e400")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), object()])
def test_what_json_cannot_express_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        json_codec.dumps({"value": value})


def test_unset_is_not_none() -> None:
    assert query.parameters({"a": None, "b": UNSET, "c": False}) == (("c", "false"),)
    assert copy.deepcopy(UNSET) is UNSET and pickle.loads(pickle.dumps(UNSET)) is UNSET


def test_a_comma_in_a_filter_does_not_separate_values() -> None:
    assert query.filters({"category": ["a,b", "c"]}) == (("category", "a\\,b"), ("category", "c"))


def test_the_configuration_class_is_never_sent() -> None:
    plugin = PluginMetadata("a", "b", "A", {}, config_dataclass=SimpleNamespace)
    assert "config_dataclass" not in registration(plugin)


def test_registering_does_not_forget_what_may_still_run() -> None:
    assert "spawned_pids" not in registration(PluginMetadata("a", "b", "A", {}))
    assert registration(PluginMetadata("a", "b", "A", {}, spawned_pids=[7]))["spawned_pids"] == [7]


def test_a_mask_is_not_saved() -> None:
    config = mark({"a": ["********", "b"]})
    assert config == {"a": [Masked(), "b"]} and isinstance(config["a"][0], Masked)
    with pytest.raises(SecretMasked, match="/a/0"):
        refuse_masks(config)
    refuse_masks({"a": "********"})  # Typed by a user, it is a string like any other.


def errors() -> list[type[Exception]]:
    values = (getattr(plugin_registry, name) for name in plugin_registry.__all__)
    return [value for value in values if isinstance(value, type) and issubclass(value, Refused)]


@pytest.mark.parametrize("cls", errors())
def test_errors_survive_pickling(cls: type[Refused]) -> None:
    error = cls(409, "urn:x", "title", "detail", [plugin_registry.FieldError("/a", "b")], "id", {"retry-after": "1"})
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls and vars(again) == vars(error) and str(again) == str(error)


def test_an_unknown_problem_is_classed_by_its_status() -> None:
    assert type(of_problem({"type": "urn:of:tomorrow", "status": 403})) is Forbidden
    assert type(of_problem({"status": 418})) is plugin_registry.BadRequest
    assert type(of_problem({"status": 599})) is plugin_registry.Unavailable


def test_a_page_of_a_proxy_is_an_error_by_its_status() -> None:
    assert str(refused(502, {"x-request-id": "r"}, b"<html>")) == "the registry answered 502\n  request: r"


def test_documents_survive_pickling_and_copying() -> None:
    event = Event({"id": "7", "type": "plugin.removed", "data": {}, "new_field": 1}, "removal")
    for again in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event)):
        assert (again.revision, again.name, again.new_field, again.plugin) == (7, "removal", 1, None)
    with pytest.raises(AttributeError, match="has no field"):
        event.no_such  # noqa: B018
