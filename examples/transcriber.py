"""A transcription service that cleans up after itself: kill it with -9 and start it again. It needs a registry."""

import subprocess
from plugin_registry import PluginMetadata, Registry
from plugin_registry.leftovers import stop_process

WORKER = ["sh", "-c", "sleep 3600 & sleep 3600 & wait"]  # In place of a model's server with two processes of its own.
GPU = {"provider": "lambda_labs", "instance_id": "0x1a2b", "gpu_type": "A100", "gpu_count": 1}


def clean_up(registry):
    """Ends what an earlier run left, as the registry's findings say."""
    for left in registry.findings(finding=["orphan", "ghost", "reused"]):
        print(f"{left.finding} {left.kind} {left.id}: {left.evidence.next_step}", flush=True)
        if left.kind == "remote":
            print(f"ending {left.id} at its provider (a real service calls the provider here)", flush=True)
        elif left.finding == "orphan" and not stop_process(left):
            continue
        registry.release(left)


def main():
    with Registry() as registry:
        clean_up(registry)
        with registry.lease("transcriber", ttl=5):
            registry.register(PluginMetadata("whisper", "transcription", "Whisper", {}, manages_child_processes=True))
            registry.remote("transcription_whisper").set({**GPU, "status": "running", "estimated_cost_per_hour": 1.1})
            worker = subprocess.Popen(WORKER)
            with registry.track(worker, "transcription_whisper"), registry.watch(after=0) as watch:
                for event in watch:
                    print(event.type, event.subject, flush=True)


if __name__ == "__main__":
    main()
