import { expect, test } from "vitest";
import type { BpfLink } from "../../bpf/binding.ts";
import { makeBpfError } from "../testing/bpf-error.ts";
import type { Attachment } from "./attach-entry.ts";
import { detachInBackground } from "./try-attach.ts";

function makeAttachment(closeAsync: () => Promise<void>): { attachment: Attachment; closed: string[] } {
  const closed: string[] = [];
  const program = { close: () => closed.push("program") };
  const link = { closeAsync, close: () => closed.push("link") } as unknown as BpfLink;
  const attachment = { links: [link], programs: [program], maps: {}, configs: [] };
  return { attachment: attachment as unknown as Attachment, closed };
}

test("a hook that only tried the kernel is detached, and all of it closed", async () => {
  const { attachment, closed } = makeAttachment(async () => {});
  const warnings: string[] = [];
  await detachInBackground(attachment, (message) => warnings.push(message));
  expect({ closed, warnings }).toEqual({ closed: ["link", "program"], warnings: [] });
});

test("a detach that fails in the background is logged and ends nothing", async () => {
  const failure = makeBpfError({ step: "close link", code: "EIO" });
  const { attachment } = makeAttachment(() => Promise.reject(failure));
  const warnings: string[] = [];
  await detachInBackground(attachment, (message) => warnings.push(message));
  expect(warnings).toEqual([`detach the hook that tried the kernel: ${failure.message}`]);
});
