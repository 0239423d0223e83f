# A Docker engine of our own, for tests/system/container/run. Sourced, not run.
#
# It lives in its own mount, network and process namespaces: its bridge, its firewall rules, its
# mounts and its containers are seen by nobody else on this machine, and the kernel takes them all
# away when the engine's process ends. Nothing is asked of, or changed in, an engine that may
# already be there.
#
# Uses $work (a folder of the caller's) and `fail`; sets $engine (the process to end) and $engine_init
# (the engine itself, process 1 of its namespace).

engine=
engine_init=

# Debian's own client: one that a machine has elsewhere may need the buildx plugin to build.
docker() {
    DOCKER_BUILDKIT=1 DOCKER_CONFIG="$work/client" /usr/bin/docker --host "unix://$work/docker.sock" "$@"
}

# Runs a command on the engine's network, where the published ports are.
beside_engine() {
    nsenter --target "$engine_init" --net -- "$@"
}

install_engine() {
    install_programs /usr/sbin/dockerd=docker.io /usr/bin/docker=docker.io /usr/sbin/iptables=iptables /usr/sbin/ip=iproute2 \
        /usr/bin/curl=curl /usr/bin/ps=procps /usr/bin/readelf=binutils
}

# install_programs PATH=PACKAGE...: installs Debian's packages of those that are missing; no service is started.
install_programs() {
    local missing=() program
    for program; do
        [[ -x ${program%%=*} ]] || missing+=("${program#*=}")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    [[ -x /usr/bin/apt-get ]] || fail "needs ${missing[*]}, and can install them on Debian only"
    # The engine that the package would start is not the one that we want.
    (
        export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
        apt-get update && apt-get install --yes --no-install-recommends --option DPkg::Lock::Timeout=300 "${missing[@]}"
    ) >"$work/install.log" 2>&1 || fail "${missing[*]} cannot be installed" "$work/install.log"
}

start_engine() {
    mkdir -p "$work/client"
    # The engine dies with this script, however it ends. Its storage driver is overlay2 where the
    # file system allows it, vfs otherwise; DOCKER_DRIVER in the environment decides.
    setpriv --pdeathsig KILL \
        unshare --mount --net --pid --fork --mount-proc --kill-child=TERM -- \
        bash -c 'ip link set lo up && exec /usr/sbin/dockerd "$@"' dockerd \
        --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/engine.pid" \
        --host "unix://$work/docker.sock" --cgroup-parent "/${work##*/}" >"$work/engine.log" 2>&1 {output}>&- &
    engine=$!
    local deadline=$((SECONDS + 60))
    until docker version >"$work/version" 2>&1; do
        kill -0 "$engine" 2>/dev/null || fail "the Docker engine does not start" "$work/engine.log"
        ((SECONDS < deadline)) || fail "the Docker engine does not answer within 60 seconds" "$work/engine.log"
        sleep 0.2
    done
    engine_init=$(tr --delete ' ' <"/proc/$engine/task/$engine/children")
    docker info --format 'Docker {{.ServerVersion}}, storage {{.Driver}}, cgroup v{{.CgroupVersion}}'
}

# Ends the engine with everything that runs in it.
stop_engine() {
    [[ -n $engine ]] || return 0
    local containers
    containers=$(docker ps --all --quiet 2>/dev/null) || true
    # shellcheck disable=SC2086 # one word for each container
    [[ -z $containers ]] || docker rm --force --volumes $containers >/dev/null 2>&1 || true
    [[ -z $engine_init ]] || kill -TERM "$engine_init" 2>/dev/null || true
    local deadline=$((SECONDS + 20))
    while kill -0 "$engine" 2>/dev/null && ((SECONDS < deadline)); do
        sleep 0.1
    done
    # Process 1 of a namespace takes all the others with it.
    [[ -z $engine_init ]] || kill -KILL "$engine_init" 2>/dev/null || true
    kill -KILL "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    engine=
    find /sys/fs/cgroup -depth -type d -path "*/${work##*/}*" -exec rmdir {} + 2>/dev/null || true
}
