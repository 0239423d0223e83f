# The registry: one static binary in an otherwise empty image.
#
#   docker build --tag plugin-registry .
#   docker run --publish 127.0.0.1:8080:8080 --volume plugin-registry:/data plugin-registry
#
# Publish on 127.0.0.1: `--publish 8080:8080` opens a registry without tokens to every address of the machine.
# docs/guide/containers.md has tokens in a container, and what a container sees of the host.
#
# BuildKit is needed for the cache mounts; it has been Docker's default since version 23
# (before: DOCKER_BUILDKIT=1). tests/container/run builds this file and tries the image.

# Rust with a C compiler and make on a glibc that has its static libraries (Debian: libc6-dev).
ARG BUILD_IMAGE=rust:1.95-bookworm
# The image below the binary, which needs nothing. A debugging image with a shell is a use for this.
ARG RUNTIME_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY . .
# glibc is linked in, for there is none in the empty image. `getrandom` is told to ask the kernel:
# by itself it would look the C function up at run time, which a static binary cannot do. Both are
# set for the target alone (`--target`), because procedural macros are never static. Relative relocations are
# packed (RELR): they take a hundredth of the room.
ENV RUSTFLAGS='-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom" -C link-arg=-Wl,-z,pack-relative-relocs'
# `quick` builds in a third of the time what is larger and much slower: for trying the image.
ARG PROFILE=release
# Cargo tells by the times of files whether what the cache holds is still right, and COPY keeps
# those of the checkout, which may be older than the last build: hence `touch`.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/build/target,sharing=locked \
    target="$(rustc -vV | sed -n 's/^host: //p')" \
    && touch src/lib.rs src/main.rs \
    && cargo build --profile "$PROFILE" --locked --bin plugin-registry --target "$target" \
    && mkdir -p /image/data /image/licenses /image/certs \
    && cp /etc/ssl/certs/ca-certificates.crt /image/certs/ \
    && cp "target/$target/$PROFILE/plugin-registry" /image/ \
    && for file in LICENSE*; do if [ -f "$file" ]; then cp "$file" /image/licenses/; fi; done

FROM ${RUNTIME_IMAGE}
# Owned by root, so that the service cannot rewrite itself. /data belongs to the user that it runs as, and a
# new volume mounted there takes its owner from here.
COPY --from=build /image/plugin-registry /plugin-registry
COPY --from=build /image/licenses /licenses
# The authorities that webhooks trust; mount another file there for an authority of your own.
COPY --from=build /image/certs /etc/ssl/certs
COPY --from=build --chown=65532:65532 /image/data /data

# A number, so that `runAsNonRoot` of Kubernetes can tell that it is not root.
USER 65532:65532
# SQLite puts its temporary files, when it needs any, into the current folder: there is no /tmp.
WORKDIR /data
VOLUME /data

# `docker stop` kills after 10 seconds; requests that still run are given a little less.
ENV PLUGIN_REGISTRY_LISTEN=0.0.0.0:8080 \
    PLUGIN_REGISTRY_STORE=sqlite:/data/plugin-registry.db \
    PLUGIN_REGISTRY_SHUTDOWN_GRACE=8
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/plugin-registry", "health"]

ENTRYPOINT ["/plugin-registry"]
CMD ["serve"]

# Last, for they differ with every build.
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="plugin-registry" \
      org.opencontainers.image.description="Knows what every plugin of an application is, what it holds right now, and whether that is still true." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
