/**
 * An API server of its own process: a watch gets a bookmark each 20 ms, `/slow` an answer after 100 ms, `/never` none.
 * Prints its port.
 */
import { createServer } from "node:http";

const bookmark = { type: "BOOKMARK", object: { metadata: { name: "b", resourceVersion: "1" } } };

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://server");
  response.setHeader("content-type", "application/json");
  if (pathname === "/slow") setTimeout(() => response.end("{}"), 100);
  if (!searchParams.has("watch")) return;
  response.flushHeaders();
  const timer = setInterval(() => response.write(`${JSON.stringify(bookmark)}\n`), 20);
  response.on("close", () => clearInterval(timer));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
