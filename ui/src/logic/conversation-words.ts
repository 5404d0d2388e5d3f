import type { Conversation, RuntimeOffer } from '../nouns/conversations.ts'
import { runtimeWords } from './approval-words.ts'
import { agentLinks } from './settings-links.ts'

/** What a list calls it. */
export const titleOf = (c: Pick<Conversation, 'title' | 'runtime'>): string => c.title || `${runtimeWords(c.runtime)} conversation`

const leads: Record<string, string> = {
  runbook: 'Fixed recipes and “$ command”. Knows your servers, thinks of nothing by itself.',
  model: 'A language model of your choice, with one tool: a command on this server.',
  acp: 'A code agent that is installed on the server, such as Claude Code or Codex.',
  openclaw: 'Your own OpenClaw gateway.',
}
export const runtimeLead = (name: string): string => leads[name] ?? ''

/** Where the missing piece is set up; null where the server itself has to be changed, or there is no page for it. */
export function setUpAt(offer: Pick<RuntimeOffer, 'name'>): { path: string; words: string } | null {
  const page = { model: 'models', openclaw: 'gateways' }[offer.name as string]
  const link = agentLinks.find((one) => page && one.path.endsWith(`/${page}`))
  return link ? { path: link.path, words: `Set up: ${link.name}` } : null
}

/** Conversations with what runs or waits first, then by last use. */
export const sorted = (all: readonly Conversation[]): Conversation[] =>
  all.toSorted((a, b) => Number(!!b.running_turn_id) - Number(!!a.running_turn_id) || b.last_used_at.localeCompare(a.last_used_at))
