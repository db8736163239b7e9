/** Streams of events to clients of the gRPC API. */
import type { Registry } from "prom-client";
import { scrapedCounter, scrapedGauge } from "../../lib/scraped-metrics.ts";

/** Counts over all streams since the start, and the streams that are open now. */
export interface StreamCounts {
  sent: number;
  lost: number;
  open: number;
}

const NONE = {};

/** Registers the metrics; the counts are those that streams change. */
export function streamMetrics(registry: Registry): StreamCounts {
  const counts: StreamCounts = { sent: 0, lost: 0, open: 0 };
  const total = (name: string, help: string, read: () => number) =>
    scrapedCounter(registry, name, help, () => [[NONE, read()]]);
  scrapedGauge(registry, "trigon_grpc_streams", "Clients that read events over gRPC.", () => counts.open);
  total("trigon_grpc_events_sent_total", "Events sent to clients over gRPC.", () => counts.sent);
  total(
    "trigon_notify_overflowed_events_total",
    "Events that gRPC clients lost because they read too slowly.",
    () => counts.lost,
  );
  return counts;
}
