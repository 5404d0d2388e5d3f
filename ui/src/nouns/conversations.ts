import { get, post } from '../api.ts'
import type { ConversationEvent } from '../logic/transcript.ts'

export interface Conversation {
  id: string
  connection_id: string
  runtime: string
  session_id: string | null
  last_seq: number
  running_turn_id: string | null
}
export interface EventPage {
  events: ConversationEvent[]
  last_seq: number
  has_more: boolean
}

export const readConversation = async (id: string) =>
  (await get<{ conversation: Conversation }>(`/conversations/${id}`)).conversation
export const conversationOf = async (connectionId: string) =>
  (await get<{ conversation: Conversation }>(`/connections/${connectionId}/conversation`)).conversation
export const readEvents = (id: string, after: number) =>
  get<EventPage>(`/conversations/${id}/events?after=${after}&limit=500`)
export const say = (id: string, text: string) => post<{ turn: { id: string } }>(`/conversations/${id}/turns`, { text })
export const cancelTurn = (id: string, turnId: string) =>
  post<{ turn: { id: string } }>(`/conversations/${id}/turns/${turnId}/cancel`)
export const livePath = (id: string, after: number) => `/api/v1/conversations/${id}/live?after=${after}`
