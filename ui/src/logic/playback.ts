/** An asciicast (version 2) as it is read and played. Nothing here knows of a screen or of a clock. */

export type Piece = { kind: 'o' | 'm'; text: string } | { kind: 'r'; cols: number; rows: number }
export interface Cast {
  cols: number
  rows: number
  /** Seconds from the beginning, in order; `pieces[i]` happens at `times[i]`. */
  times: number[]
  pieces: Piece[]
}

/** Reads lines as they arrive. What is no event of a kind we know is left out; a line without its end waits for more. */
export class CastReader {
  readonly cast: Cast = { cols: 80, rows: 24, times: [], pieces: [] }
  private rest = ''
  private headed = false

  take(text: string): void {
    const lines = (this.rest + text).split('\n')
    this.rest = lines.pop()!
    for (const line of lines) this.line(line)
  }

  private line(line: string): void {
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      return
    }
    if (!this.headed) return this.header(value)
    if (!Array.isArray(value) || typeof value[0] !== 'number' || typeof value[2] !== 'string') return
    const piece = read(String(value[1]), value[2])
    if (!piece) return
    this.cast.times.push(Math.max(value[0], this.cast.times.at(-1) ?? 0))
    this.cast.pieces.push(piece)
  }

  private header(value: unknown): void {
    this.headed = true
    const { width, height } = (value ?? {}) as { width?: unknown; height?: unknown }
    this.cast.cols = sane(width, this.cast.cols)
    this.cast.rows = sane(height, this.cast.rows)
  }
}

function read(kind: string, data: string): Piece | null {
  if (kind === 'o' || kind === 'm') return { kind, text: data }
  const size = kind === 'r' ? /^(\d{1,4})x(\d{1,4})$/.exec(data) : null
  return size ? { kind: 'r', cols: sane(Number(size[1]), 80), rows: sane(Number(size[2]), 24) } : null
}

const sane = (value: unknown, otherwise: number) =>
  typeof value === 'number' && value >= 1 && value <= 1000 ? Math.floor(value) : otherwise

/** Silence longer than `most` seconds becomes `most`: the times at which the pieces are shown. */
export function withoutIdle(times: number[], most: number | null): number[] {
  if (most === null) return times
  let cut = 0
  let before = 0
  return times.map((time) => {
    cut += Math.max(0, time - before - most)
    before = time
    return time - cut
  })
}

export interface Step {
  /** The screen begins anew before these pieces. */
  anew: boolean
  pieces: Piece[]
}
export const speeds = [0.5, 1, 2, 4, 8] as const

/** Where a player stands, and what it shows next. Time is given to it. */
export class Playback {
  position = 0
  playing = false
  speed = 1
  private shown = 0
  private times: number[]
  private readonly cast: Cast

  constructor(cast: Cast, idle: number | null) {
    this.cast = cast
    this.times = withoutIdle(cast.times, idle)
  }

  get length(): number {
    return this.times.at(-1) ?? 0
  }

  /** Time has passed, in seconds of the person who watches. It stops at the end. */
  pass(seconds: number): Step {
    if (this.playing) this.position = Math.min(this.length, this.position + seconds * this.speed)
    if (this.position >= this.length) this.playing = false
    return this.upTo(this.position, false)
  }

  /** Forward shows what lies between; backward begins anew, since a terminal cannot be wound back. */
  seek(to: number): Step {
    const anew = to < this.position
    this.position = Math.min(this.length, Math.max(0, to))
    return this.upTo(this.position, anew)
  }

  /** Another measure of silence: the same moment of the recording stays in front. */
  cutIdle(most: number | null): void {
    const ended = this.position >= this.length
    const before = this.times
    this.times = withoutIdle(this.cast.times, most)
    if (ended) this.position = this.length
    else if (this.shown === 0) this.position = 0
    else this.position = this.times[this.shown - 1]! + Math.min(this.position - before[this.shown - 1]!, this.gap())
  }

  private gap(): number {
    return Math.max(0, (this.times[this.shown] ?? this.length) - this.times[this.shown - 1]!)
  }

  private upTo(time: number, anew: boolean): Step {
    const from = anew ? 0 : this.shown
    let to = from
    while (to < this.times.length && this.times[to]! <= time) to++
    this.shown = to
    return { anew, pieces: this.cast.pieces.slice(from, to) }
  }
}

/** "0:07", "12:34", "1:02:03". */
export function clockTime(seconds: number): string {
  const s = Math.floor(Math.max(0, seconds))
  const two = (n: number) => String(n).padStart(2, '0')
  const h = Math.floor(s / 3600)
  return h ? `${h}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`
}
