import { backoff } from './logic/backoff.ts'

export type LinkState = 'connecting' | 'open' | 'reconnecting' | 'closed'
export type Said = { type: string } & Record<string, unknown>

interface Options {
  /** Asked at every attempt, so that it can carry the newest `after=`. */
  path: () => string
  onText: (message: Said) => void
  onBinary?: (data: ArrayBuffer) => void
  onState?: (state: LinkState) => void
  /** The box closed for good: 1000 ended, 4400 not understood, 4401 login ended, 4403 forbidden, 4404 unknown. */
  onEnd?: (code: number) => void
  dial?: (path: string) => WebSocket
  /** The box is told when nobody looks at this page: its socket lives on in a pocket, but no person with it. */
  looks?: boolean
}

const silence = 45_000
const patience = 10_000
const doubt = 5_000
/** A socket that lasted this long was a good one: the next wait begins small again. */
const settled = 5_000
const final = new Set([1000, 4400, 4401, 4403, 4404])

/**
 * The only WebSocket of the app: it comes back by itself. A phone that wakes up often holds a socket that says
 * OPEN and is dead, so silence counts as death, and waking up asks for a sign of life.
 */
export class Live {
  state: LinkState = 'connecting'
  private socket: WebSocket | null = null
  private attempt = 0
  private heardAt = 0
  private openedAt = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private watch: ReturnType<typeof setTimeout> | undefined
  private readonly options: Options

  constructor(options: Options) {
    this.options = options
    for (const sign of ['online', 'pageshow'] as const) globalThis.addEventListener?.(sign, this.wake)
    globalThis.document?.addEventListener('visibilitychange', this.wake)
    this.open()
  }

  send(message: Said | Uint8Array<ArrayBuffer>): boolean {
    if (this.state !== 'open' || this.socket?.readyState !== 1) return false
    this.socket.send(message instanceof Uint8Array ? message : JSON.stringify(message))
    return true
  }

  /** Tries again now: on waking up, or because a person asked. */
  retry = (): void => {
    if (this.state === 'closed') return
    this.attempt = 0
    this.drop()
    this.set('reconnecting')
    this.open()
  }

  close(): void {
    for (const sign of ['online', 'pageshow'] as const) globalThis.removeEventListener?.(sign, this.wake)
    globalThis.document?.removeEventListener('visibilitychange', this.wake)
    this.drop()
    this.set('closed')
  }

  private wake = (): void => {
    this.tellLooks()
    if (this.state === 'closed' || this.isHidden()) return
    if (this.state !== 'open' || Date.now() - this.heardAt > silence) return this.retry()
    this.send({ type: 'ping' })
    this.expect(doubt)
  }

  private isHidden = (): boolean => globalThis.document?.visibilityState === 'hidden'

  private tellLooks(): void {
    if (this.options.looks) this.send({ type: this.isHidden() ? 'away' : 'here' })
  }

  private open(): void {
    const path = this.options.path()
    const socket = (this.options.dial ?? dial)(path)
    this.socket = socket
    socket.binaryType = 'arraybuffer'
    this.expect(patience)
    socket.onmessage = ({ data }) => this.heard(socket, data as string | ArrayBuffer)
    socket.onclose = ({ code }) => socket === this.socket && this.lost(code)
  }

  private heard(socket: WebSocket, data: string | ArrayBuffer): void {
    if (socket !== this.socket) return
    this.heardAt = Date.now()
    this.expect(silence)
    // The first frame is the proof: proxies accept sockets for boxes that are gone.
    if (this.state !== 'open') {
      this.openedAt = this.heardAt
      this.set('open')
      if (this.isHidden()) this.tellLooks()
    }
    if (typeof data !== 'string') return this.options.onBinary?.(data)
    const message = JSON.parse(data) as Said
    if (message.type === 'ping') this.send({ type: 'pong' })
    else if (message.type !== 'pong') this.options.onText(message)
  }

  /** Gives up on this socket unless a frame arrives in time. */
  private expect(ms: number): void {
    clearTimeout(this.watch)
    this.watch = setTimeout(() => this.lost(4408), ms)
  }

  private lost(code: number): void {
    this.drop()
    if (final.has(code)) {
      this.close()
      return this.options.onEnd?.(code)
    }
    this.attempt = this.state === 'open' && Date.now() - this.openedAt > settled ? 1 : this.attempt + 1
    this.set('reconnecting')
    this.timer = setTimeout(() => this.open(), backoff(this.attempt, Math.random()))
  }

  private drop(): void {
    clearTimeout(this.timer)
    clearTimeout(this.watch)
    const socket = this.socket
    this.socket = null
    if (socket) socket.onmessage = socket.onclose = null
    socket?.close()
  }

  private set(state: LinkState): void {
    if (state === this.state) return
    this.state = state
    this.options.onState?.(state)
  }
}

function dial(path: string): WebSocket {
  return new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`)
}
