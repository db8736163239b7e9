// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "2aad8cc611d50f0f";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "c755193c5e22cdf5";
