"""Clients in Python: that of openapi-python-client, and the types of datamodel-code-generator for the same replies."""

import importlib
import json
import sys

import httpx

import models
from registry_client import Client
from registry_client.api.costs import create_budget, list_budgets, patch_budget
from registry_client.api.leases import grant_lease, renew_lease
from registry_client.api.plugins import list_plugins, register_plugin
from registry_client.api.webhooks import create_webhook, list_webhooks
from registry_client.models import (
    BudgetPatch,
    BudgetRequest,
    LeaseRequest,
    Period,
    PluginFilters,
    PluginRegistration,
    WebhookRequest,
)

REGISTRATION = {
    "name": "typed",
    "category": "python",
    "title": "A typed plugin",
    "config_schema": {"type": "object", "properties": {"device": {"enum": ["cpu", "cuda"]}}},
    "labels": {"team": "speech"},
    "remote_resource": {"provider": "aws", "status": "running", "metadata": {"zone": "a", "tags": ["x", 1, None]}},
}


def every_operation_is_generated(description):
    for path, operations in description["paths"].items():
        for operation in operations.values():
            name = f"registry_client.api.{operation['tags'][0]}.{operation['operationId']}"
            assert hasattr(importlib.import_module(name), "sync_detailed"), f"{path}: {name}"


def the_client_works(url):
    client = Client(base_url=url, raise_on_unexpected_status=True)
    with client:
        plugin = register_plugin.sync(client=client, body=PluginRegistration.from_dict(REGISTRATION))
        assert plugin.unique_id == "python_typed", plugin
        assert plugin.config_schema["properties"] == REGISTRATION["config_schema"]["properties"], plugin
        assert plugin.remote_resource.metadata["tags"] == ["x", 1, None], plugin
        page = list_plugins.sync(client=client, category=["python"])
        assert [plugin.unique_id for plugin in page.items] == ["python_typed"], page

        filters = PluginFilters(active=True, billable="true")
        filters["label.team"] = ["a", "b"]
        webhook = create_webhook.sync(client=client, body=WebhookRequest(url="http://127.0.0.1:9/hook", filters=filters))
        assert webhook.secret.startswith("whsec_") and webhook.filters["label.team"] == ["a", "b"], webhook
        assert webhook.id in [one.id for one in list_webhooks.sync(client=client).items]

        request = BudgetRequest(name="python", limit_usd=12.5, period=Period.MONTH)
        budget = create_budget.sync(client=client, body=request)
        assert budget.threshold_percent == [50, 80, 100], budget
        changed = patch_budget.sync(budget.id, client=client, body=BudgetPatch(limit_usd=20))
        assert changed.limit_usd == 20, changed
        assert budget.id in [one.id for one in list_budgets.sync(client=client).items]

        lease = grant_lease.sync(client=client, body=LeaseRequest(holder="python"))
        assert lease.ttl_seconds == 30, lease
        assert renew_lease.sync(lease.lease_id, client=client).lease_id == lease.lease_id


def the_models_fit(url):
    """Every list, as the service has it, fits the type that was made for it."""
    for path, model in [
        ("/plugins", models.PluginPage),
        ("/resources", models.ResourcePage),
        ("/events", models.EventPage),
        ("/webhooks", models.WebhookList),
        ("/budgets", models.BudgetList),
        ("/leases", models.LeasePage),
        ("/categories", models.CategoryList),
        ("/costs", models.Costs),
        ("/stats", models.Stats),
    ]:
        model.model_validate(httpx.get(url + path).raise_for_status().json())
    registration = models.PluginRegistration.model_validate(REGISTRATION)
    kept = json.loads(registration.model_dump_json(exclude_unset=True))
    assert kept == REGISTRATION, kept


def main():
    url = sys.argv[1]
    every_operation_is_generated(httpx.get(f"{url}/openapi.json").raise_for_status().json())
    the_client_works(url)
    print("the client of openapi-python-client works")
    the_models_fit(url)
    print("the types of datamodel-code-generator fit")


main()
