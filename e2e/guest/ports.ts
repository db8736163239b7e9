/** The host's ends of a guest's virtio-serial ports: one Unix socket each. */
import { createServer, type Server, type Socket } from "node:net";
import { Transform, type TransformCallback, type Writable } from "node:stream";

const NOTHING = Buffer.alloc(0);

/** Passes everything before the end marker on and reports the marker, which may be split anywhere. */
export class UntilMarker extends Transform {
  readonly #marker: Buffer;
  readonly #onMarker: () => void;
  #held: Buffer = NOTHING;
  #found = false;

  constructor(marker: string, onMarker: () => void) {
    super();
    this.#marker = Buffer.from(marker);
    this.#onMarker = onMarker;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const data = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    const end = this.#found ? 0 : data.indexOf(this.#marker);
    const passed = end >= 0 ? end : data.length - heldBytes(data, this.#marker);
    this.#held = end >= 0 ? NOTHING : data.subarray(passed);
    done(null, data.subarray(0, passed));
    if (end >= 0 && !this.#found) this.#onMarker();
    this.#found ||= end >= 0;
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#held);
  }
}

/** Length of the longest end of `data` that the marker may begin with. */
function heldBytes(data: Buffer, marker: Buffer): number {
  for (let length = Math.min(data.length, marker.length - 1); length > 0; length--) {
    if (data.subarray(data.length - length).equals(marker.subarray(0, length))) return length;
  }
  return 0;
}

/** A socket that QEMU connects to. */
export class Port {
  readonly path: string;
  readonly connected: Promise<Socket>;
  readonly #server: Server;

  private constructor(path: string) {
    this.path = path;
    this.#server = createServer();
    this.connected = new Promise((resolve) => this.#server.once("connection", resolve));
  }

  /** Listens before QEMU starts. */
  static async listen(path: string): Promise<Port> {
    const port = new Port(path);
    await new Promise<void>((resolve, reject) => {
      port.#server.once("error", reject);
      port.#server.listen(path, resolve);
    });
    return port;
  }

  /** Copies the guest's output to `target`, which stays open; settles once the marker has arrived. */
  async copyTo(target: Writable, marker: string): Promise<void> {
    const socket = await this.connected;
    socket.on("error", () => {});
    await new Promise<void>((resolve) => {
      const filter = new UntilMarker(marker, () => setImmediate(resolve));
      socket.pipe(filter).pipe(target, { end: false });
    });
  }

  /** Calls back with each line that the guest writes. */
  async onLine(callback: (line: string) => void): Promise<void> {
    const socket = await this.connected;
    let pending = "";
    socket.on("error", () => {});
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (pending + text).split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) callback(line);
    });
  }

  close(): void {
    this.#server.close();
    void this.connected.then((socket) => socket.destroy());
  }
}
