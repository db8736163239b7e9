import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Directory for files that are downloaded or built once and kept between runs.
 *
 * @param {NodeJS.ProcessEnv} environment
 */
export function cacheDirectory(environment) {
  if (environment.TRIGON_CACHE) return environment.TRIGON_CACHE;
  return join(environment.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "trigon");
}
