# The image of both operator and agent. Needs node_modules: `npm ci && docker build -t trigon.dev/trigon:dev .`
# (npm does not run in the build, so that the image has exactly the packages that the tests ran with).
ARG BASE=docker.io/library/debian:bookworm-slim
# A builder without a layer cache can pass an image of the stage `compile` that it built earlier.
ARG COMPILED=compile

FROM ${BASE} AS toolchain
RUN apt-get update && apt-get install -y --no-install-recommends bpftool clang g++ libbpf-dev make

FROM toolchain AS compile
COPY node_modules/node-addon-api /src/node_modules/node-addon-api
COPY node_modules/node-api-headers /src/node_modules/node-api-headers
COPY bpf /src/bpf
COPY agent/native /src/agent/native
RUN make -j2 -C /src/bpf && make -j2 -C /src/agent/native addon

FROM ${COMPILED} AS assemble
COPY . /src
RUN /src/node_modules/node/bin/node /src/e2e/image/assemble.ts /src /image

# No shell and no package manager: Node, libbpf, and the libraries that they are linked with.
FROM scratch
COPY --from=assemble /image /
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trigon" \
      org.opencontainers.image.description="Watches who changes Linux process credentials, in the kernel, with eBPF" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The image has what V8 compiles of the programs.
ENV PATH=/usr/local/bin NODE_ENV=production NODE_COMPILE_CACHE=/app/code-cache NODE_COMPILE_CACHE_PORTABLE=1
WORKDIR /app
USER 65532:65532
CMD ["node", "/app/operator/main.js"]
