import { endTerminal, listTerminals, openTerminal, readSession, resumeTerminal, type Terminal } from '../nouns/sessions.ts'
import { endKeptTerminal, listKeptTerminals, type KeptTerminal } from '../nouns/kept-terminals.ts'
import { readConnection } from '../nouns/connections.ts'
import { lastRoom } from '../parts/screen.ts'
import { Act } from './act.svelte.ts'
import { keepAlive } from './keep-alive.ts'
import { Resource } from './resource.svelte.ts'

const talk = 'talk'
/** In the address, after `#`: which conversation is in front, where it is not the one used last. */
const named = 'c='

/** What the session page holds: the lease, its terminals, and which of the views is in front. */
export class SessionView {
  readonly session: Resource<Awaited<ReturnType<typeof readSession>>>
  readonly terminals: Resource<Awaited<ReturnType<typeof listTerminals>>>
  readonly connection: Resource<Awaited<ReturnType<typeof readConnection>>>
  readonly kept: Resource<KeptTerminal[]>
  readonly adding = new Act()
  readonly ending = new Act()
  at = $state(talk)
  /** The conversation that a person chose; empty for the one used last. */
  chosen = $state('')
  /** Terminals that were in front once: these keep their socket while another view is shown. */
  seen = $state<string[]>([])
  private hidden = $state<string[]>([])
  private readonly id: string

  constructor(id: string) {
    this.id = id
    this.session = new Resource(() => readSession(id))
    this.terminals = new Resource(() => listTerminals(id))
    this.connection = new Resource(async () => readConnection((await readSession(id)).connection_id))
    this.kept = new Resource(async () => listKeptTerminals((await readSession(id)).connection_id))
    const hash = location.hash.slice(1)
    if (hash.startsWith(named)) this.chosen = hash.slice(named.length)
    else if (hash) this.pick(hash)
  }

  get tabs() {
    const over = !['active', 'pending'].includes(this.session.data?.status ?? 'active')
    const all = (this.terminals.data ?? []).map((t, i) => ({ ...t, name: `Terminal ${i + 1}`, ended: t.state === 'ended' }))
    return all.filter((t) => !this.hidden.includes(t.id) && (over || !t.ended || this.seen.includes(t.id)))
  }

  /** Terminals that go on on the server and that this page does not show. */
  get waiting(): KeptTerminal[] {
    const shown = (this.terminals.data ?? []).filter((t) => t.state === 'open').map((t) => t.kept_id)
    return (this.kept.data ?? []).filter((k) => !shown.includes(k.id))
  }

  follow(): () => void {
    const stops = [this.kept.follow('terminal.', 'session.active'), this.session.follow('session.'), this.terminals.follow('terminal.', 'session.'), this.connection.follow('session.', 'connection.')]
    return () => stops.forEach((stop) => stop())
  }

  pick = (id: string): void => {
    this.at = id
    if (id !== talk && !this.seen.includes(id)) this.seen.push(id)
    const hash = id !== talk ? id : this.chosen ? named + this.chosen : ''
    history.replaceState(history.state, '', `${location.pathname}${hash ? `#${hash}` : ''}`)
  }

  choose = (conversationId: string): void => {
    this.chosen = conversationId
    this.pick(talk)
  }

  add = (): Promise<void> => this.open(() => openTerminal(this.id, lastRoom.cols, lastRoom.rows, keepAlive()))
  addPlain = (): Promise<void> => this.open(() => openTerminal(this.id, lastRoom.cols, lastRoom.rows))
  resume = (keptId: string): Promise<void> => this.open(() => resumeTerminal(this.id, keptId, lastRoom.cols, lastRoom.rows))

  private async open(how: () => Promise<Terminal>): Promise<void> {
    const made = await this.adding.run(how)
    if (!made) return void this.kept.load()
    const others = (this.terminals.data ?? []).filter((t) => t.id !== made.id)
    this.terminals.set([...others, made])
    this.pick(made.id)
  }

  /** Ends one that waits on the server, and what runs in it. */
  endKept = async (one: KeptTerminal): Promise<boolean> => {
    const ended = await this.ending.run(() => endKeptTerminal(one.connection_id, one.id))
    if (!ended) return false
    this.kept.set((this.kept.data ?? []).filter((k) => k.id !== one.id))
    return true
  }

  /** Ends an open terminal; one that has ended is only put out of sight. */
  end = async (id: string): Promise<boolean> => {
    const terminal = this.terminals.data?.find((t) => t.id === id)
    if (terminal?.state === 'open' && !(await this.ending.run(() => endTerminal(this.id, id)))) return false
    this.hidden.push(id)
    this.pick(talk)
    return true
  }
}
