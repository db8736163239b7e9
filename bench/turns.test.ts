import { expect, test } from "vitest";
import type { ApiResponse, Transport } from "../lib/api-transport.ts";
import { inTurn } from "./turns.ts";

const ANSWER: ApiResponse = { status: 200, headers: {}, text: "" };
const path = (n: number) => ({ method: "GET" as const, path: `/${n}` });

test("requests wait their turn, in order, and one that fails makes room like any other", async () => {
  const sent: { path: string; answer: PromiseWithResolvers<ApiResponse> }[] = [];
  const transport = {
    send: ({ path }: { path: string }) => {
      const answer = Promise.withResolvers<ApiResponse>();
      sent.push({ path, answer });
      return answer.promise;
    },
    open: () => Promise.reject(new Error("not used")),
    close: () => {},
  } satisfies Transport;
  const turns = inTurn(transport, 2);
  const answers = [1, 2, 3, 4].map((n) => turns.send(path(n)));
  await Promise.resolve();
  expect(sent.map((request) => request.path)).toEqual(["/1", "/2"]);

  sent[1]?.answer.reject(new Error("refused"));
  await expect(answers[1]).rejects.toThrow("refused");
  expect(sent.map((request) => request.path)).toEqual(["/1", "/2", "/3"]);

  sent[0]?.answer.resolve(ANSWER);
  await answers[0];
  expect(sent.map((request) => request.path)).toEqual(["/1", "/2", "/3", "/4"]);
  for (const { answer } of sent) answer.resolve(ANSWER);
  await Promise.all([answers[2], answers[3]]);
});
