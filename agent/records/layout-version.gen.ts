// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "27e55bfc1a7185e3";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "056d079a85e42873";
