/** Metrics as text, for tests. */
import type { Registry } from "prom-client";
import { renderMetrics } from "../scraped-metrics.ts";

/** What a scrape of the registry answers. */
export async function metricsText(registry: Registry): Promise<string> {
  return (await renderMetrics(registry)).toString();
}
