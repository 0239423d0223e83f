# The registry: one static binary in an otherwise empty image.
#
#   docker build --tag plugin-registry .
#   docker run --publish 127.0.0.1:8080:8080 --volume plugin-registry:/data plugin-registry
#
# Publish on 127.0.0.1: `--publish 8080:8080` opens a registry without tokens to every address of the machine.
# docs/guide/containers.md shows tokens in a container, and what a container sees of the host.
#
# The cache mounts need BuildKit, Docker's default since version 23 (before: DOCKER_BUILDKIT=1).
# tests/system/container/run builds this file and tests the image.

# Rust with a C compiler, make, and the static libraries of glibc (Debian: libc6-dev).
ARG BUILD_IMAGE=rust:1.95-bookworm
# The base of the image; the binary needs none. Set an image with a shell for debugging.
ARG RUNTIME_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY . .
# glibc is linked statically, because the empty image has none. `getrandom` must call the kernel directly: it would
# otherwise look up the C function at run time, which a static binary cannot do. `--target` restricts both flags to the
# target, because procedural macros are never static. Packed relative relocations (RELR) take a hundredth of the space.
ENV RUSTFLAGS='-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom" -C link-arg=-Wl,-z,pack-relative-relocs'
# `quick` builds in a third of the time, but the binary is larger and much slower: for trying the image.
ARG PROFILE=dist
# Cargo compares modification times with its cache, and COPY keeps those of the checkout, which may be older than the
# last build: hence `touch`.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/build/target,sharing=locked \
    target="$(rustc -vV | sed -n 's/^host: //p')" \
    && touch build.rs src/lib.rs src/main.rs crates/*/src/lib.rs \
    && cargo build --profile "$PROFILE" --locked --bin plugin-registry --target "$target" \
    && mkdir -p /image/data /image/licenses /image/certs \
    && cp /etc/ssl/certs/ca-certificates.crt /image/certs/ \
    && cp "target/$target/$PROFILE/plugin-registry" /image/ \
    && for file in LICENSE*; do if [ -f "$file" ]; then cp "$file" /image/licenses/; fi; done

FROM ${RUNTIME_IMAGE}
# Root owns the binary, so that the service cannot overwrite it. The service's user owns /data, and a new volume
# mounted there inherits that owner.
COPY --from=build /image/plugin-registry /plugin-registry
COPY --from=build /image/licenses /licenses
# The authorities that webhooks trust; mount another file here for a private authority.
COPY --from=build /image/certs /etc/ssl/certs
COPY --from=build --chown=65532:65532 /image/data /data

# A numeric user, which Kubernetes' `runAsNonRoot` requires.
USER 65532:65532
# SQLite writes temporary files to the current folder, because the image has no /tmp.
WORKDIR /data
VOLUME /data

# `docker stop` kills after 10 seconds, so running requests get a little less.
ENV PLUGIN_REGISTRY_LISTEN=0.0.0.0:8080 \
    PLUGIN_REGISTRY_STORE=sqlite:/data/plugin-registry.db \
    PLUGIN_REGISTRY_SHUTDOWN_GRACE=8
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/plugin-registry", "health"]

ENTRYPOINT ["/plugin-registry"]
CMD ["serve"]

# Last, because they change with every build.
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="plugin-registry" \
      org.opencontainers.image.description="Registry of an application's plugins: what each plugin is, which resources it holds, and whether they still run." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
