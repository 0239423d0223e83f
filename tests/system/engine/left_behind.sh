# An application is restarted beside its container, and registers another one. Sourced by tests/system/engine/run.
#
# Uses $program, $work, $socket, `fail`, `docker` and `passed`; sets $registry (the process to end).

registry=

start_registry() {
    "$program" serve --store memory --listen 127.0.0.1:0 --probe-interval 1 --docker "unix://$socket" \
        >"$work/registry.out" 2>"$work/registry.log" {output}>&- &
    registry=$!
    until grep --quiet listening "$work/registry.out"; do
        kill -0 "$registry" 2>/dev/null || fail "the registry does not start" "$work/registry.log"
        sleep 0.1
    done
    url=$(sed 's/.* //' "$work/registry.out")
}

stop_registry() {
    [[ -n $registry ]] || return 0
    kill "$registry" 2>/dev/null || true
    wait "$registry" 2>/dev/null || true
    registry=
}

# register CONTAINER: registers the one plugin with this container, as its application does at each start.
register() {
    jq --null-input --arg id "$1" \
        '{category: "serving", name: "llama", title: "Llama", config_schema: {}, execution_mode: "docker", container_id: $id}' |
        curl --silent --show-error --fail --output "$work/answer" --header 'Content-Type: application/json' --data @- "$url/plugins" ||
        fail "the registration is refused" "$work/answer"
}

# until_row CONTAINER JQ: waits until JQ, a condition over the container's row (null without one), holds.
until_row() {
    local deadline=$((SECONDS + 60))
    until curl --silent "$url/resources?container_id=$1" >"$work/rows" && jq --exit-status ".items[0] | $2" "$work/rows" >/dev/null; do
        ((SECONDS < deadline)) || fail "not within 60 seconds: $2" "$work/rows"
        sleep 0.2
    done
    passed=$((passed + 1))
    printf 'ok: container %s: %s\n' "${1:0:12}" "$2"
}

try_left_behind() {
    local old new
    start_registry
    old=$(docker run --detach --network=none local/main)
    new=$(docker run --detach --network=none local/main)
    register "$old"
    until_row "$old" '.claim == "claimed" and .observed.state == "alive"'
    register "$new"
    until_row "$old" '.claim == "left_behind" and .left_at != null'
    until_row "$new" '.claim == "claimed" and .finding == null'
    until_row "$old" '.finding == "orphan" and .observed.state == "alive" and (.evidence.next_step | length > 0)'
    until_row "$new" '.observed.state == "alive" and .finding == null'
    docker kill "$old" >/dev/null
    until_row "$old" '. == null'
    until_row "$new" '.claim == "claimed" and .observed.state == "alive"'
    docker rm --force "$old" "$new" >/dev/null
    stop_registry
}
