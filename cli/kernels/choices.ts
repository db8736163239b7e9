/** What `--kernel` takes. Apart from the recorded names, which are large. */

/** Names the newest of the kernels. */
export const LATEST = "latest";

/** All but the newest by their versions. */
export const KERNEL_CHOICES: readonly string[] = ["5.10", "6.1", "6.12", LATEST];
