/** Many simulated clients behind one transport. */
import type { ApiRequest, Transport } from "../lib/api-transport.ts";

/**
 * A transport that sends so many requests at a time. The others wait their turn here, where no deadline runs yet: each
 * real client has a connection of its own, and its deadline begins when it sends.
 */
export function inTurn(transport: Transport, inFlight: number): Transport {
  const waiting: (() => void)[] = [];
  let free = inFlight;
  const enter = () => (free > 0 ? free-- : new Promise<void>((turn) => waiting.push(turn)));
  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  return {
    async send(request: ApiRequest) {
      await enter();
      return transport.send(request).finally(leave);
    },
    open: (request, signal) => transport.open(request, signal),
    close: () => transport.close(),
  };
}
