// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "147a8a6fc3d8afe4";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "a288c4ec6ffd39a2";
