# A Podman of our own that speaks the Docker Engine API, for tests/system/engine/run. Sourced, not run.
#
# Its service lives in mount and process namespaces of its own, so that everything in it ends with the service. Nothing
# is asked of, or changed in, a Podman that may already be there.
#
# Uses $work (a folder of the caller's), `fail` and `install_programs`; sets $podman_service (the process to end).

podman_service=

# The client speaks to the service. The limits are lower than those of any host, which a container may not raise.
podman() {
    /usr/bin/podman --remote --url "unix://$work/podman.sock" "$@"
}

podman_run() {
    podman run --detach --network=none --ulimit nofile=512:512 --ulimit nproc=512:512 "$@"
}

install_podman() {
    install_programs /usr/bin/podman=podman /usr/sbin/runc=runc /usr/bin/conmon=conmon
}

start_podman() {
    mkdir -p "$work/podman"
    # runc runs on hosts with either version of control groups, and crun does not.
    setpriv --pdeathsig KILL \
        unshare --mount --pid --fork --mount-proc --kill-child=TERM -- \
        /usr/bin/podman --root "$work/podman/root" --runroot "$work/podman/run" --tmpdir "$work/podman/tmp" \
        --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime /usr/sbin/runc \
        system service --time=0 "unix://$work/podman.sock" >"$work/podman.log" 2>&1 {output}>&- &
    podman_service=$!
    local deadline=$((SECONDS + 60))
    until podman version >"$work/podman.version" 2>&1; do
        kill -0 "$podman_service" 2>/dev/null || fail "Podman does not start" "$work/podman.log"
        ((SECONDS < deadline)) || fail "Podman does not answer within 60 seconds" "$work/podman.log"
        sleep 0.2
    done
    podman version --format 'Podman {{.Server.Version}}, storage vfs'
}

# Ends Podman with everything that runs in it.
stop_podman() {
    [[ -n $podman_service ]] || return 0
    podman rm --all --force --time 0 >/dev/null 2>&1 || true
    # Process 1 of a namespace takes all the others with it; `unshare` itself ignores the signal.
    kill -KILL "$(tr --delete ' ' <"/proc/$podman_service/task/$podman_service/children")" 2>/dev/null || true
    wait "$podman_service" 2>/dev/null || true
    podman_service=
}
