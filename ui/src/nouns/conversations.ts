import { get, linkTo, patch, post, remove, repeat } from '../api.ts'
import type { ConversationEvent } from '../logic/transcript.ts'

export type RuntimeName = 'runbook' | 'model' | 'acp' | 'openclaw'
export interface Usage {
  input_tokens: number | null
  output_tokens: number | null
  cost_usd: number | null
}
export interface Conversation {
  id: string
  connection_id: string
  title: string | null
  runtime: RuntimeName
  runtime_options: Record<string, unknown>
  /** The open session that carries it now. */
  session_id: string | null
  last_seq: number
  running_turn_id: string | null
  waits_for: 'approval' | 'session' | null
  usage: Usage
  created_at: string
  last_used_at: string
  archived_at: string | null
}
export interface EventPage {
  events: ConversationEvent[]
  last_seq: number
  has_more: boolean
}
export interface Hit {
  conversation_id: string
  connection_id: string
  seq: number
  type: string
  excerpt: string
  created_at: string
}
/** What can think in a new conversation there, and what each could be asked for. */
export interface RuntimeChoice {
  id: string
  label: string
  detail: string
  ready: boolean
  hint: string
  options: Record<string, unknown>
}
export interface RuntimeOffer {
  name: RuntimeName
  available: boolean
  why_not: string
  choices: RuntimeChoice[]
}
/** A program on the server that works by itself, and what it still lacks. */
export interface CodeAgent {
  name: string
  label: string
  version: string | null
  signed_in: boolean | null
  path: string | null
  hint: string
}
export interface NewConversation {
  runtime: RuntimeName
  runtime_options?: Record<string, unknown>
  title?: string
}
type One = { conversation: Conversation }

export const readConversation = async (id: string) => (await get<One>(`/conversations/${id}`)).conversation
export const conversationOf = async (connectionId: string) =>
  (await get<One>(`/connections/${connectionId}/conversation`)).conversation
export const listConversations = async (connectionId: string) =>
  (await get<{ conversations: Conversation[] }>(`/connections/${connectionId}/conversations`)).conversations
export const makeConversation = async (connectionId: string, input: NewConversation) =>
  (await post<One>(`/connections/${connectionId}/conversations`, input)).conversation
export const changeConversation = async (id: string, change: Partial<NewConversation>) =>
  (await patch<One>(`/conversations/${id}`, change)).conversation
export const archiveConversation = (id: string) => remove<unknown>(`/conversations/${id}`)
export const searchConversations = async (q: string) =>
  (await get<{ hits: Hit[] }>(`/conversations/search?${new URLSearchParams({ q, limit: '50' })}`)).hits
export const exportLink = (id: string, format: 'markdown' | 'json') => linkTo(`/conversations/${id}/export?format=${format}`)
export const runtimesFor = async (connectionId: string) =>
  (await get<{ runtimes: RuntimeOffer[] }>(`/connections/${connectionId}/runtimes`)).runtimes

export const readEvents = (id: string, after: number) =>
  get<EventPage>(`/conversations/${id}/events?after=${after}&limit=500`)
/** The same `key` again is the same turn, however often it is sent. */
export const say = (id: string, text: string, key: string) =>
  repeat<{ turn: { id: string } }>(`/conversations/${id}/turns`, { text }, key)
export const cancelTurn = (id: string, turnId: string) =>
  post<{ turn: { id: string } }>(`/conversations/${id}/turns/${turnId}/cancel`)
export const livePath = (id: string, after: number) => `/api/v1/conversations/${id}/live?after=${after}`
/** Asks the server itself, which needs a session there. */
export const findCodeAgents = async (connectionId: string) =>
  (await get<{ code_agents: CodeAgent[] }>(`/connections/${connectionId}/code-agents`)).code_agents
