"""What schemathesis cannot know from the description alone.

Most paths are about a plugin, which must exist for anything behind the 404 to be reached: so the
fixture plugin is registered before every call about it, and half of the generated ids become its id.
"""

import os
import random
import re
import urllib.request

import schemathesis

PLUGIN_ID = "tests_fixture"
FIXTURE = b"""{"category":"tests","name":"fixture","title":"Fixture",
"config_schema":{"type":"object","properties":{"device":{"enum":["cpu","cuda"]}}}}"""
ENTITY_TAGS = re.compile(r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$')

_random = random.Random(20261121)


@schemathesis.hook
def filter_case(context, case):
    """Leaves out what is wrong before it is sent, and right in the query that arrives."""
    if case.meta is None or case.meta.generation.mode.is_positive or not isinstance(case.query, dict):
        return True
    # A list of one value is sent as the value, an empty one not at all; and see the cursor below.
    vanishes = any(isinstance(value, (list, dict)) and len(value) < 2 for value in case.query.values())
    return not vanishes and "cursor" not in case.query


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts the fixture in place, and leaves no condition that can only fail."""
    is_good = case.meta is None or case.meta.generation.mode.is_positive
    if "{id}" in case.path and isinstance(case.path_parameters, dict) and _random.random() < 0.5:
        case.path_parameters["id"] = PLUGIN_ID
    for name in ("If-Match", "If-None-Match"):
        value = (case.headers or {}).get(name)
        # The generator of good requests takes no notice of the pattern of some header fields.
        if is_good and value is not None and not ENTITY_TAGS.match(str(value)):
            del case.headers[name]
    if isinstance(case.query, dict):
        # A cursor is opaque: only one that a reply has given is good.
        case.query.pop("cursor", None)
        # What a description cannot say: these two exclude each other; the future has not been; nobody waits here.
        # A mutated request may have these as a good one has them.
        moments = [str(case.query[name]) for name in ("as_of", "since", "min_revision") if name in case.query]
        if "as_of" in case.query and (is_good or all(moment.isdecimal() for moment in moments)):
            case.query["as_of"] = "0"
            case.query.pop("since", None)
            case.query.pop("min_revision", None)
        if is_good and case.path.endswith("/plugins"):
            # Items of some fields only are no whole plugins, as the description says of them in words.
            case.query.pop("fields", None)
        if is_good and "as_of" in case.query and "spent_usd" in str(case.query.get("sort", "")):
            # What a resource has cost by now is no state of the past.
            case.query.pop("sort")
        if is_good and case.path.endswith("/costs"):
            # Nor are times in their order, or beside a look at the past.
            case.query.pop("to", None)
            if "as_of" in case.query:
                case.query.pop("step", None)
                case.query.pop("format", None)
            if "as_of" in case.query or "step" in case.query:
                case.query.pop("from", None)
            if "step" in case.query:
                # A reply has a bounded number of steps.
                case.query["step"] = "1d"
            if case.query.get("format") == "focus":
                # It has a row for each resource, so there are no groups and no steps.
                case.query.pop("group_by", None)
                case.query.pop("step", None)
        if is_good and case.path.endswith(("/events/counts", "/resources/spans")):
            case.query.pop("from", None)
            case.query.pop("to", None)
        if is_good and case.path.endswith("/resources/release") and isinstance(case.body, dict):
            # The body names resources, or the query chooses them.
            case.query = {name: value for name, value in case.query.items() if name == "dry_run"}
        min_revision = str(case.query.get("min_revision", ""))
        if min_revision.isdecimal() and int(min_revision) < 2**63:
            case.query["min_revision"] = 0
        if "since" in case.query:
            case.query.setdefault("wait", "0ms")
            if is_good:
                case.query["wait"] = "0ms"
    if "{id}" in case.path:
        url = case.operation.base_url or "http://127.0.0.1:8080"
        headers = {"Content-Type": "application/json"}
        if token := os.environ.get("SCHEMATHESIS_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(url.rstrip("/") + "/plugins", data=FIXTURE, headers=headers)
        urllib.request.urlopen(request, timeout=10).close()
