# The one image of operator and agent. Needs node_modules: `npm ci && docker build -t trigon.dev/trigon:dev .`
# (no npm runs in here, so that the image has exactly what package-lock.json and the tests had).
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS toolchain
# A base that already has the tools needs no network.
RUN dpkg -s bpftool clang g++ libbpf-dev make >/dev/null 2>&1 \
 || (apt-get update && apt-get install -y --no-install-recommends bpftool clang g++ libbpf-dev make)

FROM toolchain AS build
COPY . /src
RUN make -j2 -C /src/bpf && make -j2 -C /src/agent/native \
 && /src/node_modules/node/bin/node /src/e2e/image/assemble.ts /src /image

# No shell and no package manager: Node, libbpf, and what they are linked with.
FROM scratch
COPY --from=build /image /
ENV PATH=/usr/local/bin NODE_ENV=production
WORKDIR /app
USER 65532:65532
CMD ["node", "/app/operator/main.ts"]
