// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "a7a20d8081f5e647";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "c2f65d1d0731273c";
