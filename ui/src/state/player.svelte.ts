import type { Problem } from '../api.ts'
import { CastReader, Playback, speeds } from '../logic/playback.ts'
import { pullCast } from '../nouns/recordings.ts'
import { openReplay, type Replay } from '../parts/open-replay.ts'
import { asProblem } from './resource.svelte.ts'

const silence = 2

/** Plays one recording on one screen. */
export class Player {
  position = $state(0)
  length = $state(0)
  playing = $state(false)
  speed = $state(1)
  skipping = $state(true)
  ready = $state(false)
  loaded = $state(0)
  words = $state('')
  problem = $state.raw<Problem | null>(null)
  private readonly id: string
  private readonly stopping = new AbortController()
  private playback: Playback | null = null
  private replay: Replay | null = null
  private frame = 0
  private before = 0

  constructor(id: string) {
    this.id = id
  }

  /** Loads all of it, then shows its beginning. */
  async open(host: HTMLElement): Promise<void> {
    const reader = new CastReader()
    try {
      await pullCast(this.id, (text) => {
        reader.take(text)
        this.loaded += text.length
      }, this.stopping.signal)
      const { cast } = reader
      this.replay = await openReplay(host, cast.cols, cast.rows)
      if (this.stopping.signal.aborted) return this.replay.dispose()
      this.playback = new Playback(cast, this.skipping ? silence : null)
      this.words = cast.pieces.map((piece) => (piece.kind === 'm' ? piece.text : '')).filter(Boolean).join(' ')
      this.ready = true
      this.seek(0)
    } catch (error) {
      if (!this.stopping.signal.aborted) this.problem = asProblem(error)
    }
  }

  close(): void {
    this.stopping.abort()
    cancelAnimationFrame(this.frame)
    this.replay?.dispose()
  }

  toggle = (): void => {
    const playback = this.playback
    if (!playback) return
    if (!playback.playing && playback.position >= playback.length) this.seek(0)
    playback.playing = !playback.playing
    this.before = performance.now()
    this.tell()
    if (playback.playing) this.frame = requestAnimationFrame(this.tick)
  }

  seek = (to: number): void => {
    if (!this.playback) return
    this.replay?.show(this.playback.seek(to))
    this.tell()
  }

  setSpeed = (speed: number): void => {
    this.speed = speed
    if (this.playback) this.playback.speed = speed
  }

  faster = (step: number): void => {
    const at = speeds.findIndex((speed) => speed === this.speed)
    this.setSpeed(speeds[Math.min(speeds.length - 1, Math.max(0, at + step))]!)
  }

  skip = (on: boolean): void => {
    this.skipping = on
    this.playback?.cutIdle(on ? silence : null)
    this.tell()
  }

  fit = (): void => this.replay?.fit()
  text = (): string => this.replay?.text() ?? ''

  private tick = (time: number): void => {
    const playback = this.playback
    if (!playback?.playing) return
    this.replay?.show(playback.pass(Math.max(0, time - this.before) / 1000))
    this.before = time
    this.tell()
    if (playback.playing) this.frame = requestAnimationFrame(this.tick)
  }

  private tell(): void {
    this.position = this.playback?.position ?? 0
    this.length = this.playback?.length ?? 0
    this.playing = this.playback?.playing ?? false
  }
}
