"""What every manifest of packaging/kubernetes must say beside being valid; a file that lacks it is named."""

import pathlib
import sys

import yaml

OBJECTS = {"ServiceAccount", "Deployment", "Service"}


def wrong_of_pod(pod):
    if pod["automountServiceAccountToken"] is not False:
        yield "the pod is given a token of the cluster"
    if not pod["securityContext"]["runAsNonRoot"] or pod["securityContext"]["runAsUser"] == 0:
        yield "it runs as root"
    if pod["securityContext"]["seccompProfile"]["type"] != "RuntimeDefault":
        yield "any system call is allowed"
    for container in pod["containers"]:
        context = container["securityContext"]
        if context["allowPrivilegeEscalation"] is not False or context["readOnlyRootFilesystem"] is not True:
            yield "it may get rights, or write the image"
        if context["capabilities"] != {"drop": ["ALL"]}:
            yield "it keeps capabilities"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                yield f"there is no {probe}"
        if container["readinessProbe"]["httpGet"]["path"] != "/readyz":
            yield "readiness is not asked for"
        if "memory" not in container["resources"]["limits"] or "cpu" not in container["resources"]["requests"]:
            yield "it may take all memory, or is given no processor"
        grace = pod["terminationGracePeriodSeconds"]
        if grace < 10 + container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) + 5:
            yield "it is killed before it has finished"


def wrong_of_file(objects):
    kinds = {one["kind"]: one for one in objects}
    if missing := OBJECTS - kinds.keys():
        yield f"there is no {missing}"
        return
    deployment = kinds["Deployment"]["spec"]
    pod = deployment["template"]
    yield from wrong_of_pod(pod["spec"])
    labels = pod["metadata"]["labels"]
    selectors = [deployment["selector"]["matchLabels"], kinds["Service"]["spec"]["selector"]]
    if "PodDisruptionBudget" in kinds:
        selectors.append(kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])
    if any(not selector.items() <= labels.items() for selector in selectors):
        yield "a selector is for other pods"
    names = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
    if any(port["targetPort"] not in names for port in kinds["Service"]["spec"]["ports"]):
        yield "the service goes to a port that is not there"
    if "PersistentVolumeClaim" in kinds:
        # A file is one process's.
        if deployment["replicas"] != 1 or deployment["strategy"] != {"type": "Recreate"}:
            yield "several processes would be on one volume"
    elif deployment["replicas"] < 2 or "PodDisruptionBudget" not in kinds:
        yield "replicas may all be away at once"


def main():
    found = [
        f"{name}: {wrong}"
        for name in sys.argv[1:]
        for wrong in wrong_of_file([one for one in yaml.safe_load_all(pathlib.Path(name).read_text()) if one])
    ]
    for wrong in found:
        print(wrong, file=sys.stderr)
    print(f"{len(sys.argv) - 1} files, {len(found)} problems")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
