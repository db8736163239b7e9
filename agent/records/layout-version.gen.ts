// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "166128fb2cce5f58";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "a1ac8a639da36e46";
