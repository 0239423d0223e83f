"""Clients in Python: that of openapi-python-client, and the types of datamodel-code-generator for the same replies."""

import importlib
import json
import sys

import httpx

import models
from registry_client import Client
from registry_client.api.costs import create_budget, list_budgets, patch_budget
from registry_client.api.leases import grant_lease, release_lease, renew_lease
from registry_client.api.plugins import list_plugins, patch_plugin, read_plugin, register_plugin, remove_plugin
from registry_client.api.runtime import add_pids, clear_remote, patch_remote, remove_pid, replace_pids, set_container
from registry_client.api.webhooks import create_webhook, list_webhooks
from registry_client.models import (
    BudgetPatch,
    BudgetRequest,
    ContainerId,
    LeaseRequest,
    Period,
    PluginFilters,
    PluginPatch,
    PluginRegistration,
    Problem,
    RemoteResourcePatch,
    SpawnedPids,
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


def the_main_job_is_done(url):
    """What an application does: it registers what it holds under a lease, keeps that true, and takes it back."""
    with Client(base_url=url) as client:
        def active():
            return [plugin.unique_id for plugin in list_plugins.sync(client=client, active=True, category=["job"]).items]

        lease = grant_lease.sync(client=client, body=LeaseRequest(holder="job", host="gpu-1", ttl_seconds=60))
        document = {**REGISTRATION, "category": "job", "host": "gpu-1", "lease_id": lease.lease_id, "remote_resource": None}
        created = register_plugin.sync_detailed(client=client, body=PluginRegistration.from_dict(document))
        assert created.status_code == 201 and created.headers["Location"] == "/plugins/job_typed", created
        assert not created.parsed.has_active_resources and active() == []

        plugin = replace_pids.sync("job_typed", client=client, body=SpawnedPids(spawned_pids=[41, 42]))
        assert plugin.spawned_pids == [41, 42] and active() == ["job_typed"], plugin
        plugin = add_pids.sync("job_typed", client=client, body=SpawnedPids(spawned_pids=[43]))
        plugin = remove_pid.sync("job_typed", 41, client=client)
        assert plugin.spawned_pids == [42, 43], plugin
        plugin = set_container.sync("job_typed", client=client, body=ContainerId(container_id="f00dfeedbabe"))
        assert plugin.container_id == "f00dfeedbabe", plugin
        rented = RemoteResourcePatch.from_dict({"provider": "aws", "instance_id": "i-1", "status": "provisioning"})
        plugin = patch_remote.sync("job_typed", client=client, body=rented)
        assert plugin.billable and plugin.remote_resource.ssh_port == 22, plugin
        patch = RemoteResourcePatch.from_dict({"status": "running"})
        assert patch_remote.sync("job_typed", client=client, body=patch).remote_resource.status == "running"
        page = list_plugins.sync(client=client, lease_id=[lease.lease_id])
        assert [plugin.unique_id for plugin in page.items] == ["job_typed"], page

        tag = read_plugin.sync_detailed("job_typed", client=client).headers["ETag"]
        body = PluginPatch.from_dict({"description": "busy"})
        assert patch_plugin.sync_detailed("job_typed", client=client, body=body, if_match=tag).status_code == 200
        outdated = patch_plugin.sync_detailed("job_typed", client=client, body=body, if_match=tag)
        assert outdated.status_code == 412 and isinstance(outdated.parsed, Problem), outdated

        held = remove_plugin.sync_detailed("job_typed", client=client)
        assert held.status_code == 409 and "force=true" in held.parsed.detail, held
        assert renew_lease.sync(lease.lease_id, client=client).plugins == ["job_typed"]
        assert clear_remote.sync("job_typed", client=client).remote_resource is None
        assert remove_plugin.sync_detailed("job_typed", client=client, force=True).status_code == 204
        assert release_lease.sync_detailed(lease.lease_id, client=client).status_code == 204
        assert read_plugin.sync_detailed("job_typed", client=client).status_code == 404 and active() == []


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
    the_main_job_is_done(url)
    print("the client of openapi-python-client works")
    the_models_fit(url)
    print("the types of datamodel-code-generator fit")


main()
