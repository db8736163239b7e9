/** Makes images, from /proc where no record describes them. */
import type { WallClock } from "../records/wall-clock.ts";
import { execId } from "./exec-id.ts";
import { forkFacts, scannedFacts, unknownFacts } from "./facts.ts";
import { type ForkIdentity, type RecordIdentity, ticks } from "./identity.ts";
import { Image, type ImageIdentity, type ProcessFacts } from "./image.ts";
import type { ScannedProcess } from "./scan.ts";

/** Where the cache looks up what records do not contain. */
export interface ProcLookup {
  read(pid: number): ScannedProcess | undefined;
  isAlive(pid: number, startNs: bigint): boolean;
  /** The label that a Linux Security Module gave a process; undefined when there is none, the process is gone, or labels are off. */
  securityLabel?(pid: number): string | undefined;
}

/** What the maker needs. */
export interface ImageMakerOptions {
  nodeName: string;
  clock: WallClock;
  proc: ProcLookup;
}

/** When and how an image began. */
export interface Birth {
  ktimeNs: bigint;
  forked: boolean;
  scannedAtNs?: bigint;
}

/** A lookup in /proc costs as much as dozens of events: a storm of losses must not make us lose more. */
const LOOKUPS_PER_SECOND = 200;

/** Names images and fills in what is known of them. */
export class ImageMaker {
  readonly #options: ImageMakerOptions;
  #lookupsLeft = LOOKUPS_PER_SECOND;
  /** Images without any facts. */
  unknown = 0;

  constructor(options: ImageMakerOptions) {
    this.#options = options;
  }

  /** To be called about once a second: allows more lookups in /proc. */
  refill(): void {
    this.#lookupsLeft = LOOKUPS_PER_SECOND;
  }

  make(identity: ImageIdentity, birth: Birth, facts: ProcessFacts, parent: Image | undefined): Image {
    const startTime = this.#options.clock.text(birth.ktimeNs);
    const id = execId(this.#options.nodeName, birth.ktimeNs, identity.pid);
    return new Image(identity, { ...birth, startTime, execId: id }, facts, parent);
  }

  /**
   * An image that no record describes. `previous` is the image of the same process before it, whose successor's exec
   * record is lost; `imageOf` finds the image of the parent that /proc names.
   */
  fromProc(
    record: Omit<RecordIdentity, "uid"> & { uid?: number },
    previous: Image | undefined,
    imageOf: (pid: number) => Image | undefined,
  ): Image {
    const scanned = this.#lookup(record);
    const identity: ImageIdentity = { ...record, startExact: true };
    const afterFork = previous === undefined || previous.forked;
    const known = scanned === undefined ? undefined : imageOf(scanned.parentPid);
    const parent = afterFork ? (previous?.parent ?? known) : previous;
    const facts =
      scanned === undefined ? unknownFacts(record.uid, previous) : scannedFacts(scanned, previous ?? parent);
    if (scanned === undefined) this.unknown++;
    // the first image is named by the start of its process, as a scan would; a later one by the record that named it
    const startNs = ticks(identity);
    const birth = {
      ktimeNs: previous === undefined ? startNs : record.ktimeNs,
      forked: false,
      ...(scanned !== undefined && { scannedAtNs: this.#options.clock.bootTimeNs() }),
    };
    return this.make(identity, birth, facts, parent);
  }

  /**
   * Fills in an image of which nothing is known. False if it has to be tried again, as enough has been looked up for now;
   * a process that is gone, or whose pid another one has, stays unknown.
   */
  learn(image: Image): boolean {
    if (this.#lookupsLeft <= 0) return false;
    const scanned = this.#lookup(image);
    if (scanned) image.learn(scannedFacts(scanned, image.parent), this.#options.clock.bootTimeNs());
    return true;
  }

  /** What the child runs comes from its creator. Its container comes from /proc, as a container runtime clones while it moves
   * into the container. */
  factsOfSibling(record: ForkIdentity, parent: Image, ofCreator: ProcessFacts | undefined): ProcessFacts {
    const scanned = this.#lookup(record);
    if (ofCreator !== undefined) {
      const { container } = scanned?.facts ?? ofCreator;
      return { ...ofCreator, ...(container && { container }) };
    }
    if (scanned !== undefined) return forkFacts(scannedFacts(scanned, parent), record.nspid, record.pid);
    this.unknown++;
    return unknownFacts(record.uid, parent);
  }

  /** An image of which nothing is known but a record that names it. */
  makeUnknown(record: RecordIdentity, later: Image): Image {
    this.unknown++;
    const birth = { ktimeNs: record.ktimeNs, forked: false };
    return this.make({ ...record, startExact: true }, birth, unknownFacts(record.uid, later), undefined);
  }

  #lookup(record: { pid: number; startLow: number; startHigh: number }): ScannedProcess | undefined {
    if (this.#lookupsLeft <= 0) return undefined;
    this.#lookupsLeft--;
    const scanned = this.#options.proc.read(record.pid);
    return scanned?.startNs === ticks(record) ? scanned : undefined;
  }
}
