import type { Conversation, RuntimeOffer } from '../nouns/conversations.ts'
import { runtimeWords } from './approval-words.ts'

/** What a list calls it. */
export const titleOf = (c: Pick<Conversation, 'title' | 'runtime'>): string => c.title || `${runtimeWords(c.runtime)} conversation`

const leads: Record<string, string> = {
  runbook: 'Fixed recipes and “$ command”. Knows your servers, thinks of nothing by itself.',
  model: 'A language model of your choice, with one tool: a command on this server.',
  acp: 'A code agent that is installed on the server, such as Claude Code or Codex.',
  openclaw: 'Your own OpenClaw gateway.',
}
export const runtimeLead = (name: string): string => leads[name] ?? ''

/** Where the missing piece is set up; null where the server itself has to be changed. */
export function setUpAt(offer: Pick<RuntimeOffer, 'name'>): { path: string; words: string } | null {
  if (offer.name === 'model') return { path: '/models', words: 'Set up a model' }
  if (offer.name === 'openclaw') return { path: '/gateways', words: 'Set up a gateway' }
  return null
}

/** Conversations with what runs or waits first, then by last use. */
export const sorted = (all: readonly Conversation[]): Conversation[] =>
  all.toSorted((a, b) => Number(!!b.running_turn_id) - Number(!!a.running_turn_id) || b.last_used_at.localeCompare(a.last_used_at))
