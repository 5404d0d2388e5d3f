import { frame } from './bytes.ts'

export interface Hello {
  /** Where this socket's output begins; absent: at `start_offset`. */
  offset?: number
  start_offset: number
  end_offset: number
  input_seq: number
}
export interface Gap {
  from: number
  to: number
}
interface Sent {
  seq: number
  bytes: Uint8Array
}

/**
 * What this page knows of one terminal: up to where it has received output, how much of that is rendered,
 * and which input the box has not acknowledged. It survives any number of sockets.
 */
export class TerminalBook {
  /** Offset of the next byte expected; null before anything came. */
  next: number | null = null
  /** Output below this offset is history: questions in it to the terminal were answered long ago. */
  replayEnd = 0
  rendered = 0
  /** Where the output begins that this page has shown. */
  begin = 0
  private reported = 0
  private seq = 0
  private unacked: Sent[] = []
  private readonly reportEvery: number

  constructor(reportEvery = 128 * 1024) {
    this.reportEvery = reportEvery
  }

  /** Query part of the attach address. */
  resume(): string {
    return this.next === null ? '' : `after=${this.next}&`
  }

  /** Taken at each new socket: what was lost meanwhile, and the input frames to send again. */
  hello(hello: Hello): { gap: Gap | null; resend: Uint8Array<ArrayBuffer>[] } {
    const gap = this.skipTo(hello.offset ?? hello.start_offset)
    this.replayEnd = Math.max(this.replayEnd, hello.end_offset)
    this.seq = Math.max(this.seq, hello.input_seq)
    this.ack(hello.input_seq)
    return { gap, resend: this.unsent() }
  }

  /** The input that the box has not taken, in its order. */
  unsent(): Uint8Array<ArrayBuffer>[] {
    return this.unacked.map((sent) => frame(sent.seq, sent.bytes))
  }

  /** New bytes of an output frame, without what was already received, and the hole before them if there is one. */
  receive(offset: number, bytes: Uint8Array): { gap: Gap | null; bytes: Uint8Array } {
    const gap = this.skipTo(offset)
    const known = this.next! - offset
    const fresh = known >= bytes.length ? bytes.subarray(0, 0) : bytes.subarray(known)
    this.next = this.next! + fresh.length
    return { gap, bytes: fresh }
  }

  /** The box says that these bytes are gone. Null when this page already had them. */
  gap(from: number, to: number): Gap | null {
    if (this.next === null) this.next = from
    return this.skipTo(to)
  }

  /** A numbered frame for what was typed. It is kept until acknowledged. */
  type(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    this.seq += 1
    this.unacked.push({ seq: this.seq, bytes })
    return frame(this.seq, bytes)
  }

  ack(seq: number): void {
    this.unacked = this.unacked.filter((sent) => sent.seq > seq)
  }

  get waiting(): number {
    return this.unacked.length
  }

  /** Counts rendered bytes; answers the offset to report when enough came together, or when `now` is asked for. */
  wrote(length: number, now = false): number | null {
    this.rendered += length
    const due = this.rendered - this.reported >= this.reportEvery || (now && this.rendered > this.reported)
    if (!due) return null
    this.reported = this.rendered
    return this.rendered
  }

  /** What is shown is thrown away and comes again from `offset` on: all that was seen before is history by then. */
  rewind(offset: number): void {
    this.replayEnd = Math.max(this.replayEnd, this.next ?? 0)
    this.next = this.begin = this.rendered = this.reported = offset
  }

  private skipTo(offset: number): Gap | null {
    if (this.next === null) {
      this.next = offset
      this.begin = this.rendered = this.reported = offset
      return offset > 0 ? { from: 0, to: offset } : null
    }
    if (offset <= this.next) return null
    const gap = { from: this.next, to: offset }
    this.next = offset
    this.rendered += gap.to - gap.from
    return gap
  }
}
