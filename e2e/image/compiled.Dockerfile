# The stage `compile` of the image's Dockerfile with what a machine of the same Debian release has compiled.
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends binutils libbpf1
COPY bpf/trigon.bpf.o /src/build/bpf/
COPY bpf.node /src/build/
