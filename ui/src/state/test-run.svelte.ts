import { Problem } from '../api.ts'
import { testConnection, type Connection, type HostKey, type TestResult } from '../nouns/connections.ts'
import { Act } from './act.svelte.ts'

export interface ChangedKey {
  old: HostKey & { at: string | null }
  new: HostKey & { at: string | null }
}

/** A test of a connection and what it led to: a key to approve, a changed key, or a result. */
export class TestRun {
  readonly act = new Act()
  result = $state.raw<TestResult | null>(null)
  unknown = $state.raw<HostKey | null>(null)
  changed = $state.raw<ChangedKey | null>(null)
  private readonly id: string
  private readonly then: (connection: Connection) => void

  constructor(id: string, then: (connection: Connection) => void) {
    this.id = id
    this.then = then
  }

  get problem(): Problem | null {
    const problem = this.act.problem
    return problem && !['host_key_unknown', 'host_key_changed'].includes(problem.code) ? problem : null
  }

  /** Without a fingerprint it tests; with one it pins exactly that key first. */
  run = async (fingerprint?: string): Promise<void> => {
    this.result = null
    const result = await this.act.run(() => testConnection(this.id, fingerprint))
    if (result) this.took(result)
    else if (this.act.problem) this.refused(this.act.problem)
  }

  private took(result: TestResult): void {
    this.result = result
    this.unknown = null
    const c = result.connection
    this.changed = result.result === 'host_key_changed' ? fromConnection(c) : null
    this.then(c)
  }

  private refused({ code, data }: Problem): void {
    const text = (name: string) => String(data[name] ?? '')
    if (code === 'host_key_unknown') this.unknown = { fingerprint: text('new_fingerprint'), type: text('new_type') }
    if (code !== 'host_key_changed') return
    this.unknown = null
    this.changed = {
      old: { fingerprint: text('old_fingerprint'), type: text('old_type'), at: text('pinned_at') || null },
      new: { fingerprint: text('new_fingerprint'), type: text('new_type'), at: text('offered_at') || null },
    }
  }
}

/** The same, from what the box remembers, so that a reload shows it again. */
export function fromConnection(c: Connection): ChangedKey | null {
  if (!c.offered_host_key || !c.host_key_fingerprint) return null
  if (c.offered_host_key.fingerprint === c.host_key_fingerprint) return null
  return {
    old: { fingerprint: c.host_key_fingerprint, type: c.host_key_type ?? '', at: c.host_key_pinned_at },
    new: c.offered_host_key,
  }
}
