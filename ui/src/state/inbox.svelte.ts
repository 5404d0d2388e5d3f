import type { Approval } from '../nouns/approvals.ts'
import { listApprovals, listGrants, type Grant } from '../nouns/approvals.ts'
import { Resource } from './resource.svelte.ts'

/** What waits for a person, over all sessions: the badge, the inbox and the cards in conversations read it here. */
class Inbox {
  readonly pending = new Resource(() => listApprovals('pending', 100))
  readonly grants = new Resource(listGrants)
  /** For who cannot see a badge: the last thing that was asked. */
  said = $state('')
  private known: Set<string> | null = null

  get count(): number {
    return this.pending.data?.pending ?? 0
  }

  find(id: string): Approval | undefined {
    return this.pending.data?.approvals.find((a) => a.id === id)
  }

  grantsOf(sessionId: string): Grant[] {
    return (this.grants.data ?? []).filter((g) => g.session_id === sessionId)
  }

  /** An answer from here or elsewhere: gone from the list before the next look. */
  settle(done: Approval): void {
    const page = this.pending.data
    if (!page || done.state === 'pending' || !this.find(done.id)) return
    this.pending.set({ approvals: page.approvals.filter((a) => a.id !== done.id), pending: Math.max(0, page.pending - 1) })
  }

  /** For `$effect`: as long as somebody is signed in. */
  follow(): () => void {
    const stops = [this.pending.follow('approval.', 'agents.'), this.grants.follow('approval_grant.', 'agents.', 'session.', 'turn.')]
    return () => stops.forEach((stop) => stop())
  }

  /** Says what is new since the last look; the first look is no news. */
  tell(): void {
    const page = this.pending.data
    if (!page) return
    const fresh = page.approvals.filter((a) => this.known && !this.known.has(a.id))
    this.known = new Set(page.approvals.map((a) => a.id))
    const first = fresh[0]
    if (first) this.said = `An agent asks${first.connection_label ? ` on ${first.connection_label}` : ''}: ${first.title}`
  }
}

export const inbox = new Inbox()
