# What tests/system/container/run checks of the built image, in order. Sourced, not run.
#
# Uses $image, $container, $url, $work, `fail`, `docker` and `beside_engine`.

# How the image is told to be run in all that follows; the published port is on the engine's network.
# The process id that it is told is made up.
readonly usual=(--publish 127.0.0.1:8080:8080 --volume registry-data:/data --env PLUGIN_REGISTRY_PROBE_OWN_HOST=false)

# The value of the Go template $2 on the image or container $1.
inspect() {
    docker inspect --format "$2" "$1"
}

# Fails unless $2 is $3, which is what is called $1.
expect() {
    [[ $2 == "$3" ]] || fail "$1: expected '$3', found '$2'"
}

# One request to the registry; prints the reply's body. Fails on any status but $1.
request() {
    local expected=$1 status
    shift
    status=$(beside_engine curl --silent --show-error --max-time 60 --output "$work/reply" --write-out '%{http_code}' "$@") ||
        fail "curl $*"
    [[ $status == "$expected" ]] || fail "curl $*: expected $expected, got $status" "$work/reply"
    cat "$work/reply"
}

# Waits until the engine calls the container healthy, by its own health checks.
await_healthy() {
    local state deadline=$((SECONDS + 60))
    while state=$(inspect "$container" '{{.State.Status}} {{.State.Health.Status}}') && [[ $state != 'running healthy' ]]; do
        [[ $state == running* ]] || fail "the container does not stay up ($state)"
        ((SECONDS < deadline)) || fail "the container is not healthy after 60 seconds ($state)"
        sleep 0.2
    done
}

# Waits until the registry answers, which is sooner.
await_answer() {
    local deadline=$((SECONDS + 30))
    until beside_engine curl --silent --fail --max-time 5 --output /dev/null "$url/readyz"; do
        ((SECONDS < deadline)) || fail "no answer from $url within 30 seconds"
        sleep 0.1
    done
}

# `docker stop`; fails when it takes longer than $1 milliseconds or does not end as it should.
stop_within() {
    local begun
    begun=$(date +%s%3N)
    docker stop "$container" >/dev/null
    local took=$(($(date +%s%3N) - begun))
    expect 'exit code after docker stop' "$(inspect "$container" '{{.State.ExitCode}}')" 0
    ((took <= $1)) || fail "docker stop took $took ms, at most $1 were allowed"
    docker logs "$container" 2>&1 | tail --lines=1 | grep --quiet 'the store is closed' ||
        fail "the log does not end with the store being closed"
    printf '    stopped in %d ms\n' "$took"
}

# The plugin that was registered first, byte for byte.
expect_plugin() {
    request 200 "$url/plugins/llm_container-test" >"$work/plugin.now"
    cmp "$work/plugin.now" "$work/plugin" || fail "the plugin is not what it was" "$work/plugin.now"
}

check_size() {
    local bytes
    bytes=$(inspect "$image" '{{.Size}}')
    printf '    image size: %d bytes (%d.%d MB)\n' "$bytes" $((bytes / 1000000)) $((bytes / 100000 % 10))
    ((bytes <= largest_image)) || fail "the image has $bytes bytes, more than $largest_image"
}

check_configuration() {
    expect user "$(inspect "$image" '{{.Config.User}}')" 65532:65532
    expect volumes "$(inspect "$image" '{{json .Config.Volumes}}')" '{"/data":{}}'
    expect ports "$(inspect "$image" '{{json .Config.ExposedPorts}}')" '{"8080/tcp":{}}'
    expect 'stop signal' "$(inspect "$image" '{{.Config.StopSignal}}')" SIGTERM
    expect command "$(inspect "$image" '{{.Config.Entrypoint}} {{.Config.Cmd}}')" '[/plugin-registry] [serve]'
    expect 'health check' "$(inspect "$image" '{{.Config.Healthcheck.Test}}')" '[CMD /plugin-registry health]'
    local label
    for label in title=plugin-registry 'licenses=MIT OR Apache-2.0' version=1.2.3-test revision=0123abc \
        created=2026-01-02T03:04:05Z; do
        expect "label ${label%%=*}" \
            "$(inspect "$image" "{{index .Config.Labels \"org.opencontainers.image.${label%%=*}\"}}")" "${label#*=}"
    done
    expect description "$(inspect "$image" '{{index .Config.Labels "org.opencontainers.image.description"}}')" \
        "$(sed --quiet 's/^description = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head --lines=1)"
}

check_content() {
    docker create --name content "$image" >/dev/null
    docker export content | tar --extract --directory "$work" --one-top-level=content
    docker rm content >/dev/null
    # What is empty was made by the engine (/dev, /etc/hosts and so on), or is /data.
    local files
    files=$(cd "$work/content" && find . -type f -size +0 ! -path './licenses/LICENSE*' | sort)
    expect files "$files" $'./etc/ssl/certs/ca-certificates.crt\n./plugin-registry'
    expect licences "$(ls "$work/content/licenses")" "$(cd "$root" && ls LICENSE-*)"
    if readelf --program-headers "$work/content/plugin-registry" | grep --quiet INTERP; then
        fail "the binary is not static"
    fi
    expect 'owner of /data' "$(stat --format %u:%g "$work/content/data")" 65532:65532
}

check_first_start() {
    docker run --detach --name "$container" "${usual[@]}" "$image" >/dev/null
    await_healthy
    expect user "$(docker top "$container" -eo pid,uid,gid | awk 'END {print $2 ":" $3}')" 65532:65532
    request 201 "$url/plugins" --json '{"name": "container-test", "category": "llm", "title": "In a container",
        "config_schema": {"type": "object"}, "spawned_pids": [4711]}' >/dev/null
    request 200 "$url/plugins/llm_container-test" >"$work/plugin"
    grep --quiet 4711 "$work/plugin" || fail "the plugin has lost its process" "$work/plugin"
}

check_stop() {
    stop_within "$longest_stop"
}

check_restart() {
    docker start "$container" >/dev/null
    await_answer
    expect_plugin
}

check_kill() {
    docker kill --signal KILL "$container" >/dev/null
    docker wait "$container" >/dev/null
    docker start "$container" >/dev/null
    await_answer
    expect_plugin
}

# The engine kills after 10 seconds; the registry must give up on such a request before that.
check_stop_while_busy() {
    beside_engine bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080
        printf "POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{" >&3
        cat <&3 >/dev/null' &
    local client=$!
    # Answered after the other's head was sent on the same loopback.
    request 200 "$url/healthz" >/dev/null
    stop_within 9900
    wait "$client" || true
}

check_hardened() {
    docker rm "$container" >/dev/null
    docker run --detach --name "$container" "${usual[@]}" --read-only --cap-drop ALL --security-opt no-new-privileges \
        --user 65532 --memory 512m --pids-limit 100 "$image" >/dev/null
    await_answer
    expect_plugin
    # Enough for SQLite to spill, which must find a place to do so.
    awk 'BEGIN {
        text = sprintf("%2000s", ""); gsub(/ /, "x", text)
        for (i = 0; i < 2000; i++)
            printf "{\"name\": \"p%d\", \"category\": \"bulk\", \"title\": \"T\", \"description\": \"%s\", \"config_schema\": {}}\n", i, text
    }' >"$work/bulk.ndjson"
    request 200 "$url/plugins" --header 'Content-Type: application/x-ndjson' --data-binary "@$work/bulk.ndjson" |
        grep --count '"status":201' >"$work/created" || true
    expect 'plugins registered' "$(cat "$work/created")" 2000
    # It is made of a copy, which must find a place, too.
    docker exec "$container" /plugin-registry backup /data/hardened.backup >"$work/backup.log" 2>&1 ||
        fail "no backup can be made" "$work/backup.log"
    stop_within "$longest_stop"
}

check_unhealthy() {
    ! docker run --rm "$image" health >"$work/health.log" 2>&1 || fail "health succeeds without a registry" "$work/health.log"
    grep --quiet 'no answer' "$work/health.log" || fail "health does not say why it fails" "$work/health.log"
}

check_foreign_folder() {
    mkdir "$work/foreign"
    local status=0
    docker run --rm --volume "$work/foreign:/data" "$image" >"$work/foreign.log" 2>&1 || status=$?
    expect 'exit code' "$status" 1
    grep --quiet '/data' "$work/foreign.log" || fail "the message does not name the folder" "$work/foreign.log"
    sed 's/^/    /' "$work/foreign.log"
}
