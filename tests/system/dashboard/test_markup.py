"""What strangers write is shown as text, on every page."""

from urllib.parse import quote

from test_pages import go

# Each would leave its mark in `window.hacked`, or as an element.
PAYLOADS = [
    "<img src=x onerror=\"window.hacked=1\">", "<script>window.hacked=1</script>", "\"><svg onload=window.hacked=1>", "javascript:window.hacked=1",
    "${window.hacked=1}", "</title><i id=hacked>", "&lt;b id=hacked&gt;", "' onmouseover='window.hacked=1", "\u202eevil\u2066", "{{constructor.constructor('window.hacked=1')()}}",
]


def plugin_of(payload, number):
    """A plugin with a payload in each field that takes a text."""
    return {
        "category": f"c{number} {payload}"[:250], "name": f"n{number}", "title": payload, "description": payload, "version": payload[:64],
        "labels": {"team": payload}, "host": f"host {payload}", "lease_id": None,
        "remote_resource": {"provider": "lambda_labs", "instance_id": payload, "status": payload, "gpu_type": payload, "endpoint_url": f"https://example.com/{number}?{'a' if '<' in payload else 'b'}",
                            "estimated_cost_per_hour": 1},
        "config_schema": {"type": "object", "title": payload, "properties": {payload: {"title": payload, "description": payload, "default": payload, "type": "string", "enum": [payload, "b"]}}},
    }


def attempt(registry, *arguments):
    """Writes what the registry accepts; what it refuses cannot be shown."""
    try:
        return registry.send(*arguments)
    except AssertionError:
        return None


def fill(registry):
    ids = []
    for number, payload in enumerate(PAYLOADS):
        made = attempt(registry, "POST", "/plugins", plugin_of(payload, number))
        if made is None:
            plain = {**plugin_of(payload, number), "category": f"c{number}", "host": f"h{number}", "version": "1"}
            plain["remote_resource"] = {**plain["remote_resource"], "status": "running", "instance_id": f"i-{number}"}
            made = registry.send("POST", "/plugins", plain)
        ids.append(made["unique_id"])
        attempt(registry, "PUT", f"/plugins/{quote(ids[-1], safe='')}/config", {payload: payload})
        attempt(registry, "POST", "/budgets", {"name": payload, "limit_usd": 1, "period": "month", "filters": {"label.team": payload}})
        attempt(registry, "POST", "/webhooks", {"url": f"http://127.0.0.1:9/{number}", "description": payload})
        attempt(registry, "POST", "/leases", {"holder": payload, "host": f"host {payload}", "ttl_seconds": 3600})
    return ids


def test_no_text_becomes_markup(registry, visit):
    ids = fill(registry)
    page = visit(registry)
    routes = ["/", "/resources", "/resources?group=provider", "/plugins", "/hosts", "/costs", "/costs?group_by=label.team", "/events", "/leases", "/admin"]
    routes += [f"/plugins/{quote(ids[number], safe='')}?tab={tab}" for number in (0, 2) for tab in ("overview", "holds", "timeline", "configuration", "cost", "json")]
    for route in routes:
        go(page, route)
        assert page.evaluate("window.hacked") is None, route
        assert page.locator("#hacked, main img, main script, [onerror], [onload], [onmouseover]").count() == 0, route
        links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
        assert not [link for link in links if link.strip().lower().startswith(("javascript:", "data:", "vbscript:"))], route
    page.evaluate("location.hash = '#/plugins'")
    page.get_by_text(PAYLOADS[0]).first.wait_for()
