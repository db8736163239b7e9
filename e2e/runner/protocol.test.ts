import { expect, test } from "vitest";
import { encodeReport, ReportStream, type TestReport } from "./protocol.ts";

const REPORT: TestReport = {
  file: "a.test.ts",
  name: "prints ü",
  state: "failed",
  ms: 5,
  detail: "line\nline",
};

async function take(chunks: Buffer[]) {
  const reports: TestReport[] = [];
  const lines: string[] = [];
  const stream = new ReportStream(
    (report) => reports.push(report),
    (line) => lines.push(line),
  );
  for (const chunk of chunks) stream.write(chunk);
  await new Promise<void>((done) => stream.end(done));
  return { reports, lines };
}

test("reports are separated from other output", async () => {
  const output = `before\n${encodeReport(REPORT)}after\n`;
  expect(await take([Buffer.from(output)])).toEqual({ reports: [REPORT], lines: ["before", "after"] });
});

test("chunks may end anywhere, within a character, too", async () => {
  const bytes = Buffer.from(`x${"\n"}${encodeReport(REPORT)}`);
  const chunks = [...bytes].map((byte) => Buffer.from([byte]));
  expect(await take(chunks)).toEqual({ reports: [REPORT], lines: ["x"] });
});

test("a report may follow half a line", async () => {
  expect(await take([Buffer.from(`half${encodeReport(REPORT)}`)])).toEqual({
    reports: [REPORT],
    lines: ["half"],
  });
});

test("a last line without its end counts", async () => {
  expect(await take([Buffer.from("end")])).toEqual({ reports: [], lines: ["end"] });
});
