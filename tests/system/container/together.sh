# compose.yaml with the image that was built: two replicas, the database and the proxy. Sourced, not run.
#
# The images of PostgreSQL and nginx cannot be pulled here. Their stand-ins are Debian's programs, told by the same
# environment, and serve what compose.yaml mounts into them.
#
# Uses $root, $work, $image, $url, `fail`, `docker`, `beside_engine`, `install_programs`, `list_system`, `request` and `expect`.

compose() {
    POSTGRES_PASSWORD=secret DOCKER_HOST="unix://$work/docker.sock" DOCKER_CONFIG="$work/client" \
        docker-compose --project-name together --file "$root/compose.yaml" "$@" >"$work/compose.log" 2>&1 ||
        fail "docker-compose $*" "$work/compose.log"
}

install_together() {
    install_programs /usr/bin/docker-compose=docker-compose /usr/bin/pg_ctlcluster=postgresql /usr/sbin/nginx=nginx-light \
        /usr/bin/wget=wget
}

# stand_in IMAGE FOLDER PACKAGE...: an image of Debian packages and what is in the folder, where `Dockerfile` has the last lines of its own.
stand_in() {
    local name=$1 folder=$2
    shift 2
    mkdir "$work/context"
    list_system "$@" >"$work/system.list"
    tar --create --file="$work/context/system.tar" --directory=/ --no-recursion --files-from="$work/system.list" \
        2>"$work/image.log" || fail "$name cannot be packed" "$work/image.log"
    tar --append --file="$work/context/system.tar" --directory="$folder" --exclude=./Dockerfile .
    { printf '%s\n' 'FROM scratch' 'ADD system.tar /' && cat "$folder/Dockerfile"; } >"$work/context/Dockerfile"
    docker build --tag "$name" "$work/context" >"$work/image.log" 2>&1 || fail "$name cannot be built" "$work/image.log"
    rm -r "$work/context"
}

make_stand_ins() {
    local database=$work/database proxy=$work/proxy version
    version=$(ls /usr/lib/postgresql | sort --version-sort | tail --lines=1)
    mkdir -p "$database/tmp" "$database/run/postgresql" "$proxy/tmp" "$proxy/run" "$proxy/var/log/nginx" "$proxy/etc/nginx/conf.d"
    chmod 1777 "$database/tmp" "$proxy/tmp" "$database/run/postgresql"
    # What the image of PostgreSQL does when it starts: makes the database that the environment names, once, and serves it.
    cat >"$database/start" <<'START'
#!/bin/bash
set -e
data=/var/lib/postgresql/data
chown postgres "$data"
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }
if [[ ! -e $data/PG_VERSION ]]; then
    as_postgres bash -c 'umask 077 && echo "$POSTGRES_PASSWORD" >/tmp/password'
    as_postgres initdb --pgdata="$data" --encoding=UTF8 --username="$POSTGRES_USER" --pwfile=/tmp/password \
        --auth-host=scram-sha-256 --auth-local=trust
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    as_postgres pg_ctl --pgdata="$data" --options='-c listen_addresses=' --wait start
    as_postgres psql --username="$POSTGRES_USER" --dbname=postgres --command="CREATE DATABASE \"$POSTGRES_DB\""
    as_postgres pg_ctl --pgdata="$data" --wait stop
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups -- postgres -D "$data" -c listen_addresses='*'
START
    chmod +x "$database/start"
    printf '%s\n' "ENV PATH=/usr/lib/postgresql/$version/bin:/usr/bin:/usr/sbin" 'ENTRYPOINT ["/start"]' 'STOPSIGNAL SIGINT' \
        >"$database/Dockerfile"
    stand_in postgres:15 "$database" "postgresql-$version" "postgresql-client-$version" util-linux libc-bin
    printf '%s\n' 'events {}' 'http { include conf.d/*.conf; }' >"$proxy/etc/nginx/nginx.conf"
    printf '%s\n' 'ENTRYPOINT ["/usr/sbin/nginx", "-g", "daemon off;"]' 'STOPSIGNAL SIGQUIT' >"$proxy/Dockerfile"
    stand_in nginx:stable-alpine "$proxy" nginx-light wget
}

# await WHAT COMMAND...: until it succeeds, for a minute at most.
await() {
    local what=$1 deadline=$((SECONDS + 60))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || fail "$what: not within 60 seconds" "$work/reply"
        sleep 0.2
    done
}

# Whether the proxy answers a request with status $1.
answers() {
    local expected=$1
    shift
    [[ $(beside_engine curl --silent --max-time 20 --output "$work/reply" --write-out '%{http_code}' "$@") == "$expected" ]]
}

register() {
    request "$1" "$url/plugins" --json "{\"category\": \"c\", \"name\": \"$2\", \"title\": \"T\", \"config_schema\": {}}" >/dev/null
}

check_together() {
    docker tag "$image" plugin-registry
    compose up --detach --no-build
    await 'the proxy serves' answers 200 "$url/readyz"
    local number
    for number in {1..20}; do
        register 201 "n$number"
        # The other replica's turn: it has what was written, or waits for it.
        request 200 "$url/plugins/c_n$number?min_revision=$number" >/dev/null
    done
    # A request's id begins with its process.
    expect 'replicas that answer' "$(for number in {1..20}; do
        beside_engine curl --silent --output /dev/null --write-out '%header{x-request-id}\n' "$url/readyz"
    done | cut --delimiter=- --fields=1 | sort --unique | wc --lines)" 2
}

check_replica_lost() {
    docker kill together_registry-1_1 >/dev/null
    local number
    for number in {1..20}; do
        request 200 "$url/plugins/c_n$number" >/dev/null
        request 200 --request PUT "$url/plugins/c_n$number/spawned_pids" --json "{\"spawned_pids\": [$number]}" >/dev/null
    done
    # Whoever kills by hand must start by hand.
    compose start registry-1
}

check_database_lost() {
    compose stop postgres
    request 200 "$url/plugins/c_n1" >/dev/null
    await 'writes are refused' answers 503 --request DELETE "$url/plugins/c_n1"
    compose start postgres
    await 'writes are taken again' answers 200 --request PUT "$url/plugins/c_n1/spawned_pids" --json '{"spawned_pids": [7]}'
}

check_down_and_up() {
    compose down
    compose up --detach --no-build
    await 'the proxy serves' answers 200 "$url/readyz"
    expect 'process ids' "$(request 200 "$url/plugins/c_n1" | grep --only-matching '"spawned_pids":[^]]*]')" '"spawned_pids":[7]'
    compose down --volumes
}
