# The stand-in for the official Rust image, which cannot be pulled where there is no registry of
# images: made from this machine's own files. Sourced, not run.
#
# It holds what the Dockerfile's build stage needs of rust:1.95-bookworm, and not much more: a shell,
# the C compiler and make, the static glibc, the Rust toolchain, and the crates that Cargo.lock names, so that
# the build asks no network.
#
# Uses $root (the checkout), $work, `fail` and `docker`.

# Files of Debian packages that are installed, with all that they depend on, as paths without links in their folders, and
# those that are in no package: relative to /.
list_system() {
    local packages
    packages=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances base-files bash dash coreutils findutils sed grep "$@" |
        grep --extended-regexp '^[a-z0-9]' | sort --unique)
    {
        # Of packages that can stand for each other, only one may be installed.
        # shellcheck disable=SC2086 # one word for each package
        { dpkg-query --listfiles $packages 2>/dev/null || true; } |
            sed --regexp-extended '/^\/usr\/share\/(doc|info|lintian|locale|man)\//d; s#^/(bin|sbin|lib|lib64)(/|$)#/usr/\1\2#' |
            sort --unique
        # Not in any package: the merged /usr, the alternatives that rustc calls to link and jemalloc's build to configure
        # itself, and whom TLS trusts.
        printf '%s\n' /bin /sbin /lib /lib64 /usr/bin/cc /etc/alternatives/cc /usr/bin/awk /etc/alternatives/awk \
            /etc/passwd /etc/group /etc/ssl/certs/ca-certificates.crt
    } | while read -r path; do
        [[ ! -e $path && ! -L $path ]] || printf '%s\n' "${path#/}"
    done
}

# The crates that Cargo.lock names, and the index of their registry, below the folder of Cargo.
list_crates() {
    awk -F '"' '/^name = /{name = $2} /^version = /{version = $2} /^source = "registry/{print name "-" version ".crate"}' \
        "$root/Cargo.lock" | while read -r crate; do
        compgen -G "registry/cache/*/$crate" || fail "$crate is not in $PWD/registry/cache after cargo fetch"
    done
    printf '%s\n' registry/index
}

# Makes the image $1.
make_base_image() {
    local toolchain cargo_home=${CARGO_HOME:-$HOME/.cargo} archive=$work/base.tar
    (cd "$root" && cargo fetch --locked) >"$work/fetch.log" 2>&1 || fail "the crates cannot be downloaded" "$work/fetch.log"
    toolchain=$(cd "$root" && rustc --print sysroot)
    list_system gcc libc6-dev make mawk >"$work/system.list"
    (cd "$cargo_home" && list_crates) >"$work/crates.list"
    # Names are moved (flags rh), what symbolic links say is not.
    {
        tar --create --file="$archive" --directory=/ --no-recursion --files-from="$work/system.list"
        tar --append --file="$archive" --directory="$toolchain" --transform='flags=rh;s#^#usr/local/rust/#' \
            --exclude='lib/rustlib/src' bin/rustc bin/cargo lib
        tar --append --file="$archive" --directory="$cargo_home" --transform='flags=rh;s#^#usr/local/crates/#' \
            --files-from="$work/crates.list"
    } 2>"$work/base.log" || fail "the base image cannot be packed" "$work/base.log"
    # Cargo's home is not where the Dockerfile mounts its cache, which would hide the crates.
    docker import --change 'ENV PATH=/usr/local/rust/bin:/usr/bin' --change 'ENV CARGO_HOME=/usr/local/crates' \
        --change 'ENV CARGO_NET_OFFLINE=true' "$archive" "$1" >"$work/base.log" 2>&1 ||
        fail "the base image cannot be imported" "$work/base.log"
    rm "$archive"
}
