// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "8a430d948f89b0a9";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "664763a6f1e72e02";
